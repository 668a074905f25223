import type { Study } from '../../lib/evidence/study';

export const study: Study;
