/** A feature network's place on a trunk: the stages that it takes, and the sizes that follow. */
import type { Backbone } from '../backbones/backbone';

/**
 * Channels of the stages that are tapped.
 * @param owner whose taps they are, for the message
 * @param taps stages, from 0
 * @throws RangeError when the trunk lacks one.
 */
export function tappedChannels(
  owner: string,
  { channels }: Pick<Backbone, 'channels'>,
  taps: readonly number[],
): number[] {
  return taps.map((tap) => {
    if (tap in channels) return channels[tap];
    throw new RangeError(
      `${owner}: tap ${tap} is not a stage; the backbone has stages 0 to ${channels.length - 1}`,
    );
  });
}

/** `[rows, columns]` of every level's map for an input of a size in pixels. */
export function levelSizes(
  size: { readonly width: number; readonly height: number },
  backbone: Pick<Backbone, 'mapSizes'>,
  taps: readonly number[],
  neck: { mapSizes(trunk: readonly number[]): number[] },
): [rows: number, columns: number][] {
  const side = (pixels: number): number[] => {
    const stages = backbone.mapSizes(pixels);
    return neck.mapSizes(taps.map((tap) => stages[tap]));
  };
  const columns = side(size.width);
  return side(size.height).map((rows, level) => [rows, columns[level]]);
}
