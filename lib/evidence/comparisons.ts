/** A claim's comparisons, and a run's numbers, as studies write them. */
import type { ClaimComparison } from './study';

/** `arm` has at least `least` more of the metric than `than`. */
export function higher(metric: string, arm: string, than: string, least: number): ClaimComparison {
  return { kind: 'difference', metric, arm, than, direction: 'higher', least };
}

/** `arm` has at least `least` less of the metric than `than`. */
export function lower(metric: string, arm: string, than: string, least: number): ClaimComparison {
  return { kind: 'difference', metric, arm, than, direction: 'lower', least };
}

/** The two differ by no more than `margin`. */
export function equal(metric: string, arm: string, than: string, margin: number): ClaimComparison {
  return { kind: 'equality', metric, arm, than, margin };
}

/** A result's number: no value where it is not finite. */
export function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

/** A difference, given as its two arms, has at least `least` more of the metric than another one. */
export function grows(
  metric: string,
  [arm, than]: readonly [arm: string, than: string],
  from: readonly [arm: string, than: string],
  least: number,
): ClaimComparison {
  return {
    kind: 'interaction',
    metric,
    arm,
    than,
    base: { arm: from[0], than: from[1] },
    direction: 'higher',
    least,
  };
}
