// For `require`: the files of the model are in the folder next to this file.
"use strict";

const { join } = require("node:path");
const { Tagger, TaggerError } = require("./tagger.cjs");

Tagger.files = () => ["model.onnx", "vocabulary.txt", "config.json"].map((name) => join(__dirname, "model", name));

module.exports = { Tagger, TaggerError };
