// TensorFlow.js for the tests, by way of a `require` that Node cannot see through: to import CommonJS it looks for the names that it exports,
// in each file that it may be made of, which takes most of a second for these and every file of tests anew.
const load = require;
module.exports = load('@tensorflow/tfjs');
