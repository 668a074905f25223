/** The three things every part of the library passes around: a box, an object that is there, an object that was found. */

/** `[x1, y1, x2, y2]` in pixels of the image it belongs to: continuous coordinates, top-left origin, x2 and y2 exclusive. */
export type Box = readonly [x1: number, y1: number, x2: number, y2: number];

/** An annotated object. */
export interface GroundTruth {
  readonly box: Box;
  /** Class id, from 0; there is no background class. */
  readonly label: number;
  /** Pascal VOC: hard to recognise; evaluation neither rewards nor punishes finding it. */
  readonly difficult?: boolean;
  /** Pascal VOC: the object goes on outside the box (image border or occlusion). */
  readonly truncated?: boolean;
  /** COCO: the box covers a crowd; evaluation ignores detections inside it. */
  readonly crowd?: boolean;
  /**
   * COCO: area of the object's outline in square pixels of the image as the data set has it (no transform changes it); decides which of
   * COCO's sizes the object belongs to. Default: the box's.
   */
  readonly area?: number;
}

/** A detected object. */
export interface Detection {
  readonly box: Box;
  /** Class id, from 0. */
  readonly label: number;
  /** Confidence in [0, 1]. */
  readonly score: number;
}
