/** Finds what is wrong with a study before hours are spent on it, and tells its settings from others. */
import { createHash } from 'node:crypto';
import type { Profile } from '../papers/profile';
import { nearest } from '../tensor/nearest';
import { checkPlainJson, isRecord, sortedJson } from '../tensor/plain-json';
import type { ClaimComparison, Study, StudyArm } from './study';

const fileName = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/**
 * @throws naming the place and the likely fix: names that can't be file names or come twice, claims about arms, metrics,
 *   kinds or directions that there are not, settings that are not plain JSON, a profile that the study does not have.
 */
export function checkStudy(study: Study, profile: Profile): void {
  const where = `study '${study.name}'`;
  const problem = (text: string): Error => new Error(`${where}: ${text}`);
  if (!fileName.test(study.name)) throw problem('its name must be made of letters, digits, ".", "_" and "-"');
  if (!study.profiles.includes(profile))
    throw problem(`it has no profile '${profile}', only ${study.profiles.join(', ')}`);
  const metrics = Object.keys(study.metrics);
  if (metrics.length === 0) throw problem('it has no metric');
  for (const metric of metrics)
    if (!fileName.test(metric))
      throw problem(`metric '${metric}' names its chart's file: letters, digits, ".", "_" and "-" only`);

  const arms = study.arms(profile);
  if (arms.length === 0) throw problem(`it has no arms at the ${profile} profile`);
  for (const [i, { name, title, settings }] of arms.entries()) {
    if (!fileName.test(name) || /-seed\d+$/.test(name))
      throw problem(
        `arm '${name}': names are made of letters, digits, ".", "_" and "-", and don't end like "-seed1"`,
      );
    // Some file systems don't tell capitals from small letters.
    if (arms.findIndex((arm) => arm.name.toLowerCase() === name.toLowerCase()) !== i)
      throw problem(`there are two arms '${name}'`);
    // Charts and tables know arms by their titles alone.
    if (arms.findIndex((arm) => (arm.title ?? arm.name) === (title ?? name)) !== i)
      throw problem(`there are two arms with the title '${title ?? name}'`);
    checkPlainJson(settings, `${where}: arm '${name}': settings`);
  }
  checkPlainJson(study.settings(profile), `${where}: settings`);

  const known = (what: string, name: string, names: readonly string[], claim: string): void => {
    if (names.includes(name)) return;
    const near = nearest(name, names);
    const hint = near ? ` Did you mean '${near}'?` : ` There are ${names.join(', ')}.`;
    throw problem(`claim '${claim}': there is no ${what} '${name}'.${hint}`);
  };
  const names = arms.map(({ name }) => name);
  const claims = study.claims(profile);
  for (const [i, claim] of claims.entries()) {
    if (claims.findIndex(({ name }) => name === claim.name) !== i)
      throw problem(`there are two claims '${claim.name}'`);
    if (claim.comparisons.length === 0) throw problem(`claim '${claim.name}' compares nothing`);
    for (const comparison of claim.comparisons) {
      known('kind', comparison.kind, ['difference', 'equality', 'interaction', 'divergence'], claim.name);
      known('arm', comparison.arm, names, claim.name);
      if (comparison.kind === 'divergence') continue;
      known('metric', comparison.metric, metrics, claim.name);
      if (comparison.kind !== 'equality')
        known('direction', comparison.direction, ['higher', 'lower'], claim.name);
      for (const { arm, than } of comparison.kind === 'interaction'
        ? [comparison, comparison.base]
        : [comparison]) {
        known('arm', arm, names, claim.name);
        known('arm', than, names, claim.name);
        if (arm === than) throw problem(`claim '${claim.name}' compares '${arm}' with itself`);
      }
      const [what, bound] = boundOf(comparison);
      if (!(bound > 0 && Number.isFinite(bound)))
        throw problem(`claim '${claim.name}': ${what} is a number above 0, got ${bound}`);
    }
  }
}

function boundOf(comparison: Exclude<ClaimComparison, { kind: 'divergence' }>): [string, number] {
  return comparison.kind === 'equality' ? ['margin', comparison.margin] : ['least', comparison.least];
}

/** What fixes a run, beside its seed. */
export function runSettings(study: Study, profile: Profile, arm: StudyArm): Record<string, unknown> {
  return plain({ study: study.settings(profile), arm: arm.settings }) as Record<string, unknown>;
}

/** A short hash of settings; the order of keys does not count. */
export function fingerprintOf(settings: unknown): string {
  return createHash('sha256').update(sortedJson(settings)).digest('hex').slice(0, 16);
}

/** How two settings differ, a piece of text each: `arm.rate: was 0.01, now it is 0.02`. */
export function settingsChanges(before: unknown, now: unknown, where: string = ''): string[] {
  if (sortedJson(before) === sortedJson(now)) return [];
  if (isRecord(before) && isRecord(now)) {
    return [...new Set([...Object.keys(before), ...Object.keys(now)])].flatMap((key) =>
      settingsChanges(before[key], now[key], where === '' ? key : `${where}.${key}`),
    );
  }
  return [`${where}: was ${short(before)}, now it is ${short(now)}`];
}

function short(value: unknown): string {
  const text = JSON.stringify(value) ?? 'missing';
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value)) as unknown;
}
