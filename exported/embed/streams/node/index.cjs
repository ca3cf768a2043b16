// For `require`: the files of the model are in the folder next to this file.
"use strict";

const { join } = require("node:path");
const { StreamModel, StreamError } = require("./model.cjs");

const NAMES = ["model.stream.onnx", "vocabulary.txt", "config.json"];

StreamModel.files = () => NAMES.map((name) => join(__dirname, "model", name));

module.exports = { StreamModel, StreamError };
