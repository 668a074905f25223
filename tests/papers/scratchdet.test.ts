import { beforeAll, describe, expect, test } from 'vitest';
import {
  buildScratchDet,
  formatPublished,
  scratchDetPublished,
  scratchDetRecipes,
  tf,
  type Vgg,
} from 'detlab';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('the recipes', () => {
  test.each(['quick', 'default', 'paper'] as const)('%s builds: network and anchors agree', (profile) => {
    const recipe = scratchDetRecipes[profile];
    const detector = buildScratchDet(recipe, 'backbone', 3, 1);
    const cells = detector.model.mapSizes();
    const expected = cells.reduce((sum, size, i) => sum + size * size * recipe.network.anchorsPerCell[i], 0);
    expect(detector.anchors.boxes.length / 4).toBe(expected);
    if (profile === 'paper') expect(expected).toBe(8732);
    detector.model.dispose();
    for (const milestone of recipe.milestones) expect(milestone).toBeLessThan(recipe.steps);
  });

  test('arms of the same seed start from the same convolutions, with batch norm or without', () => {
    const weights = (norm: 'none' | 'backbone') => {
      const { model } = buildScratchDet(scratchDetRecipes.quick, norm, 3, 1);
      const values = (model.backbone as Vgg).stages
        .flat()
        .map(({ conv }) => Array.from(conv.weight.dataSync().slice(0, 8)));
      model.dispose();
      return values;
    };
    expect(weights('none')).toEqual(weights('backbone'));
  });

  test('every arm has another name', () => {
    for (const { arms } of Object.values(scratchDetRecipes)) {
      expect(new Set(arms.map(({ name }) => name)).size).toBe(arms.length);
    }
  });
});

describe('published numbers', () => {
  test('the grounded cells are the paper’s', () => {
    const at = (norm: 'none' | 'backbone', rate: number) =>
      scratchDetPublished[norm].find(({ learningRate }) => learningRate === rate)!.map;
    expect(at('none', 0.001)).toMatchObject({ value: 67.6, confidence: 'paper' });
    expect(at('backbone', 0.001)).toMatchObject({ value: 72.8, confidence: 'paper' });
    expect(at('backbone', 0.01)).toMatchObject({ value: 77.8, confidence: 'paper' });
  });

  test('what is not verified says so wherever it is shown', () => {
    expect(formatPublished({ value: null, confidence: 'unverified', source: '' })).toBe(
      'diverged (unverified)',
    );
    expect(formatPublished({ value: 71, confidence: 'unverified', source: '' })).toBe('71.0 (unverified)');
    expect(formatPublished({ value: 67.6, confidence: 'paper', source: '' })).toBe('67.6');
  });
});
