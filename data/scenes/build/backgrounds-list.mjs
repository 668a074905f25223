// `key` sets the exposure, `reach` how far from a ringing pixel the repair goes (0 where leaves would be smeared).
// The backgrounds in the pack, and those left out with the reason.

const POLY = { from: 'pmndrs', kind: 'panorama', author: 'Poly Haven', licence: 'CC0-1.0' };
const BLENDER = { from: 'blender', kind: 'panorama', author: 'Greg Zaal (HDRI Haven)', licence: 'CC0-1.0' };
const LOMIRI = { kind: 'photo' };
const poly = (name, key = 0.2, reach = 2) => ({
  ...POLY,
  id: `pm-${name}`,
  name,
  key,
  reach,
  source: `@pmndrs/assets 1.7.0 hdri/${name}.exr`,
});
const blender = (name, key = 0.2, reach = 2) => ({
  ...BLENDER,
  id: `bl-${name}`,
  name,
  key,
  reach,
  source: `blender-data 3.4.1 studiolights/world/${name}.exr`,
});
const lomiri = (id, name, author, licence, horizon) => ({
  ...LOMIRI,
  id: `photo-${id}`,
  name,
  author,
  licence,
  horizon,
  source: `lomiri-wallpapers-16.04 20.04.0 ${name}`,
});

export const BACKGROUNDS = [
  poly('apartment'),
  poly('bridge'),
  poly('city'),
  poly('dawn'),
  poly('forest', 0.16, 0),
  poly('hall'),
  poly('night', 0.08),
  poly('park'),
  poly('sky'),
  poly('venice'),
  poly('warehouse'),
  poly('workshop'),
  blender('forest', 0.14, 0),
  blender('night', 0.07, 0),
  blender('sunrise'),
  lomiri('aitzgorri', 'aitzgorri_by_Aitzol_Berasategi.jpg', 'Aitzol Berasategi', 'CC-BY-4.0', 0.42),
  lomiri('life', 'life_by_Aitzol_Berasategi.jpg', 'Aitzol Berasategi', 'CC-BY-4.0', 0.35),
  lomiri('picosdeeuropa', 'picosdeeuropa_by_Aitzol_Berasategi.jpg', 'Aitzol Berasategi', 'CC-BY-4.0', 0.45),
  lomiri('seeding', 'seeding_by_Clements_Engelhardt.jpg', 'Clemens Engelhardt', 'CC0-1.0', 0.3),
  lomiri('sunset', 'sunset_by_Aitzol_Berasategi.jpg', 'Aitzol Berasategi', 'CC-BY-4.0', 0.47),
];

/** Looked at and left out. */
export const LEFT_OUT = {
  'pm-esplanade': 'four lit screens and a standing person',
  'pm-sunset': 'boats',
  'pm-lobby': 'chairs and a screen',
  'pm-lab': 'chairs and a screen',
  'pm-studio': "a photographer's studio, nothing but lamps",
  'pm-sunrise': 'the same place as bl-sunrise, at half the size',
  'bl-city': 'cars',
  'bl-courtyard': 'a lying dog',
  'bl-interior': 'bed, chair and television',
  'bl-studio': 'the same studio again',
  'bl-sunset': 'people',
  'photo Bridge': 'CC BY-SA',
  'photo Dragonfly': 'CC BY-SA',
  'photo friends': 'dogs',
  'photo Wine': 'bottle and sofa',
  'photo Picture_0B, Picture_1A': 'one close object fills the picture',
};
