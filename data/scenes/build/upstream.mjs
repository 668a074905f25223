// The upstream classes: things VOC does not know, each drawn by at least five permissive families.

/** Classes, in the order of the pack. No VOC glyph, no face, sign, flag, clock, scene or person among them. */
export const UPSTREAM = `
ant bat bear blossom blowfish boar bouquet bug butterfly cactus camel cherry-blossom chipmunk crab crocodile
deciduous-tree deer dolphin dragon dragon-face elephant evergreen-tree fallen-leaf fish four-leaf-clover fox frog
goat gorilla hamster herb hibiscus honeybee koala lady-beetle leaf-fluttering-in-wind leopard lion lizard maple-leaf
monkey monkey-face mouse mouse-face mushroom octopus palm-tree panda paw-prints pig pig-face rabbit rabbit-face
rhinoceros rose scorpion seedling shark sheaf-of-rice shrimp snail snake spider spider-web spiral-shell squid
sunflower tiger tiger-face tropical-fish tulip turtle unicorn whale wilted-flower wolf
amphora avocado bacon baguette-bread banana beer-mug bento-box birthday-cake bread burrito candy carrot cheese-wedge
cherries chestnut chocolate-bar clinking-beer-mugs cocktail-glass cooked-rice cookie cooking croissant cucumber
curry-rice custard dango doughnut ear-of-corn egg eggplant fish-cake-with-swirl fork-and-knife french-fries
fried-shrimp glass-of-milk grapes green-apple green-salad hamburger honey-pot hot-beverage hot-dog hot-pepper
ice-cream kitchen-knife kiwi-fruit lemon lollipop meat-on-bone melon oden pancakes peach peanuts pear pineapple
pizza popcorn pot-of-food potato poultry-leg red-apple rice-ball rice-cracker roasted-sweet-potato
shallow-pan-of-food shaved-ice shortcake soft-ice-cream spaghetti spoon steaming-bowl strawberry stuffed-flatbread
sushi taco tangerine teacup-without-handle tomato tropical-drink tumbler-glass watermelon wine-glass
american-football artist-palette badminton balloon baseball basketball bowling boxing-glove christmas-tree
confetti-ball crystal-ball fishing-pole framed-picture game-die ice-skate jack-o-lantern joystick
martial-arts-uniform party-popper performing-arts ping-pong pool-8-ball ribbon skis slot-machine soccer-ball
sports-medal trophy video-game volleyball wind-chime wrapped-gift
alarm-clock ambulance anchor articulated-lorry barber-pole bellhop-bell closed-umbrella cloud delivery-truck factory
ferris-wheel fire fire-engine fountain fuel-pump helicopter hourglass-done kick-scooter mantelpiece-clock oil-drum
rainbow rocket satellite snowflake snowman stopwatch tent thermometer tokyo-tower tractor umbrella volcano watch
alembic backpack balance-scale bathtub battery bed bell bikini bomb bookmark books bow-and-arrow briefcase calendar
camera candle card-file-box chains cigarette clapper-board clipboard closed-book clutch-bag coffin computer-disk
computer-mouse control-knobs crayon credit-card crossed-swords crown dagger dollar-banknote door dress drum
electric-plug envelope fax-machine file-cabinet file-folder film-frames film-projector flashlight floppy-disk
fountain-pen funeral-urn gear gem-stone glasses graduation-cap guitar hammer handbag headphone high-heeled-shoe
jeans key keyboard kimono label light-bulb lipstick locked magnifying-glass-tilted-left mans-shoe megaphone memo
microphone microscope moai mobile-phone money-bag musical-keyboard necktie newspaper notebook nut-and-bolt open-book
open-mailbox-with-raised-flag package paintbrush paperclip pen pencil pick pill postal-horn postbox printer purse
pushpin radio red-paper-lantern rescue-workers-helmet ring running-shirt running-shoe satellite-antenna saxophone
scissors scroll shield shopping-bags shopping-cart spiral-notepad straight-ruler studio-microphone sunglasses
syringe t-shirt telephone telephone-receiver telescope toilet top-hat trackball triangular-ruler trumpet
video-camera videocassette violin wastebasket womans-boot womans-clothes womans-hat womans-sandal wrench
`
  .trim()
  .split(/\s+/);

/** Upstream classes too close to a VOC class to be pasted unlabelled beside it. */
export const LOOKALIKES = new Set(
  `
bat bear boar camel deer fox goat leopard lion rhinoceros tiger tiger-face unicorn wolf pig pig-face
bouquet cactus herb palm-tree rose seedling sunflower tulip wilted-flower blossom hibiscus
amphora beer-mug clinking-beer-mugs cocktail-glass glass-of-milk honey-pot teacup-without-handle tropical-drink
tumbler-glass wine-glass alembic funeral-urn
ambulance articulated-lorry delivery-truck fire-engine tractor helicopter rocket satellite kick-scooter
framed-picture film-frames mobile-phone video-game fax-machine printer radio
snowman moai performing-arts martial-arts-uniform running-shirt
bathtub bed toilet
`
    .trim()
    .split(/\s+/),
);

/** Left out by source/glyph (or source/slug) after looking at the sheets. */
export const UPSTREAM_DROPS = {
  'streamline/factory': 'a framed picture',
  'streamline/ferris-wheel': 'a framed picture',
  'streamline/fountain': 'a framed picture',
  'streamline/rainbow': 'a framed picture',
  'streamline/tent': 'a framed picture',
  'fxemoji/rainbow': 'brings its own tile',
  'fxemoji/volcano': 'brings its own tile',
  'fxemoji/tent': 'brings its own tile',
  'fxemoji/tokyo-tower': 'brings its own tile',
  'emojione/tent': 'brings its own tile',
  'fxemoji/keyboard': 'a musical keyboard',
  'fxemoji/umbrella': 'a closed umbrella',
  'emojione/tiger': 'the same drawing as its tiger face',
  'emojione/leopard': 'a face where the class is the whole animal',
  'noto-v1/satellite-antenna': 'not readable as an antenna',
  'twemoji/computer-mouse': 'nearly all of it is transparent white',
  'fluent-3d/paperclip': 'a cartoon character',
};

/** Glyphs that qualify by count and were left out, with the reason. */
export const UPSTREAM_LEFT_OUT = {
  tennis: 'a ball in some families, a racket in others',
  'two-hump-camel': 'several families draw one animal for both camels',
  shamrock: 'drawn with four leaves in places',
  'spouting-whale': 'the whale once more',
  rat: 'the mouse once more',
  'old-key': 'the key once more',
  'umbrella-on-ground': 'brings its own beach',
  loudspeaker: 'the megaphone once more',
  'movie-camera': 'the film projector once more',
  'military-medal': 'the sports medal once more',
  'white-flower': 'a stamp, not a thing',
  'rugby-football': 'the American football once more',
  link: 'the chains once more',
  'high-voltage': 'a sign',
  'bar-chart': 'a sign',
};
