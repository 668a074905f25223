/**
 * The official archives. How sure their sizes and checksums are: nobody who publishes these sets publishes checksums. The SHA-256 digests
 * and sizes are those of TensorFlow Datasets (`url_checksums`, read in its repository), which checks every download by them: for COCO of
 * the official addresses, for VOC of files of the same names on the mirror at pjreddie.com. Of VOC's archives a copy on Hugging Face
 * (Git LFS pointers, made by somebody else) has the same digests and sizes, and the official server was seen to announce the same
 * sizes. None was downloaded to write this file. Counts are those of Liu et al., "Deep learning for generic object detection: a
 * survey" (IJCV 2020), table 3, objects with difficult ones.
 */
import { vocClassNames } from '../voc';
import type { KnownDataset } from './known-datasets';

const vocTerms =
  "photographs from Flickr, under Flickr's terms of use and their owners' rights: for research, not for passing on";

const voc2007: KnownDataset = {
  name: 'voc2007',
  title: 'Pascal VOC 2007',
  page: 'http://host.robots.ox.ac.uk/pascal/VOC/voc2007/',
  terms: vocTerms,
  archives: [
    {
      file: 'VOCtrainval_06-Nov-2007.tar',
      url: 'http://host.robots.ox.ac.uk/pascal/VOC/voc2007/VOCtrainval_06-Nov-2007.tar',
      size: 460_032_000,
      sha256: '7d8cd951101b0957ddfd7a530bdc8a94f06121cfc1e511bb5937e973020c7508',
      unpacked: 460_032_000,
      splits: ['train', 'val', 'trainval'],
      marks: { trainval: 'VOCdevkit/VOC2007/ImageSets/Main/trainval.txt' },
    },
    {
      file: 'VOCtest_06-Nov-2007.tar',
      url: 'http://host.robots.ox.ac.uk/pascal/VOC/voc2007/VOCtest_06-Nov-2007.tar',
      size: 451_020_800,
      sha256: '6836888e2e01dca84577a849d339fa4f73e1e4f135d312430c4856b5609b4892',
      unpacked: 451_020_800,
      splits: ['test'],
      marks: { test: 'VOCdevkit/VOC2007/ImageSets/Main/test.txt' },
    },
  ],
  splits: {
    train: { images: 2501, objects: 7844 },
    val: { images: 2510, objects: 7818 },
    trainval: { images: 5011, objects: 15_662 },
    test: { images: 4952, objects: 14_976 },
  },
  root: 'VOCdevkit/VOC2007',
  classes: vocClassNames,
};

/** The annotations of its test images were never published. */
const voc2012: KnownDataset = {
  name: 'voc2012',
  title: 'Pascal VOC 2012',
  page: 'http://host.robots.ox.ac.uk/pascal/VOC/voc2012/',
  terms: vocTerms,
  archives: [
    {
      file: 'VOCtrainval_11-May-2012.tar',
      url: 'http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar',
      size: 1_999_639_040,
      sha256: 'e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb',
      unpacked: 1_999_639_040,
      splits: ['train', 'val', 'trainval'],
      marks: { trainval: 'VOCdevkit/VOC2012/ImageSets/Main/trainval.txt' },
    },
  ],
  splits: {
    train: { images: 5717, objects: 15_774 },
    val: { images: 5823, objects: 15_787 },
    trainval: { images: 11_540, objects: 31_561 },
  },
  root: 'VOCdevkit/VOC2012',
  classes: vocClassNames,
};

const coco2017: KnownDataset = {
  name: 'coco2017',
  title: 'COCO 2017',
  page: 'https://cocodataset.org',
  terms:
    "annotations under CC BY 4.0; photographs from Flickr, under Flickr's terms of use and their owners' rights",
  archives: [
    {
      file: 'annotations_trainval2017.zip',
      url: 'http://images.cocodataset.org/annotations/annotations_trainval2017.zip',
      size: 252_907_541,
      sha256: '113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268',
      unpacked: 500_000_000,
      splits: ['train2017', 'val2017'],
      marks: {
        train2017: 'annotations/instances_train2017.json',
        val2017: 'annotations/instances_val2017.json',
      },
      // Captions and keypoints are passed over, and what speaks of images that were not asked for.
      keeps: (name, splits) => splits.some((split) => name === `annotations/instances_${split}.json`),
    },
    {
      file: 'val2017.zip',
      url: 'http://images.cocodataset.org/zips/val2017.zip',
      size: 815_585_330,
      sha256: '4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05',
      unpacked: 820_000_000,
      splits: ['val2017'],
      marks: { val2017: 'val2017' },
    },
    {
      file: 'train2017.zip',
      url: 'http://images.cocodataset.org/zips/train2017.zip',
      size: 19_336_861_798,
      sha256: '69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929',
      unpacked: 19_500_000_000,
      splits: ['train2017'],
      marks: { train2017: 'train2017' },
    },
  ],
  splits: {
    train2017: { images: 118_287, objects: 860_001 },
    val2017: { images: 5000, objects: 36_781 },
  },
  root: '.',
};

/** The sets that `npm run data` and `fetchDataset` know. */
export const knownDatasets: readonly KnownDataset[] = [voc2007, voc2012, coco2017];
