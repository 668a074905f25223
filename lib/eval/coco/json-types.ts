/** COCO's two kinds of files, as far as detection goes (cocodataset.org, "Data format" and "Results format"). */

/** `[x, y, width, height]` in pixels, x and y from the image's top left corner, from 0. */
export type CocoBoxJson = readonly number[];

/** An image of an annotation file. */
export interface CocoImageJson {
  readonly id: number | string;
  readonly width?: number;
  readonly height?: number;
  readonly file_name?: string;
  /** LVIS: categories that are not in the image, and those of which not every object is annotated. */
  readonly neg_category_ids?: readonly number[];
  readonly not_exhaustive_category_ids?: readonly number[];
}

/** A category of an annotation file. Ids need be neither dense nor in order. */
export interface CocoCategoryJson {
  readonly id: number;
  readonly name: string;
  readonly supercategory?: string;
  /** LVIS: rare, common or frequent in the training set. */
  readonly frequency?: string;
  readonly image_count?: number;
}

/** An annotated object. */
export interface CocoAnnotationJson {
  readonly id?: number;
  readonly image_id: number | string;
  readonly category_id: number;
  readonly bbox: CocoBoxJson;
  /** Square pixels, of the outline where there is one. Default: the box's. */
  readonly area?: number;
  readonly iscrowd?: number;
  /** 1 for VOC's difficult objects in files made from VOC. COCO's evaluation does not look at it, LVIS's does. */
  readonly ignore?: number;
}

/** An annotation file. */
export interface CocoGroundTruthJson {
  readonly images: readonly CocoImageJson[];
  readonly categories: readonly CocoCategoryJson[];
  readonly annotations: readonly CocoAnnotationJson[];
}

/** A detection; a results file is an array of them. */
export interface CocoDetectionJson {
  readonly image_id: number | string;
  readonly category_id: number;
  readonly bbox: CocoBoxJson;
  readonly score: number;
}
