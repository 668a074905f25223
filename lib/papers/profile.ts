/** One recipe, three sizes. */

/** `quick` checks that everything runs, `default` is what a reader runs, `paper` is the published size. */
export type Profile = 'quick' | 'default' | 'paper';

/** A setting for each profile. */
export type ByProfile<T> = Readonly<Record<Profile, T>>;
