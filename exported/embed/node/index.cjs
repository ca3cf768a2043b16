// For `require`: the files of the model are next to this one.
"use strict";

const { join } = require("node:path");
const { Classifier, ClassifierError } = require("./classifier.cjs");

Classifier.files = () => [join(__dirname, "model.text.onnx"), join(__dirname, "config.json")];

module.exports = { Classifier, ClassifierError };
