import { StreamModel } from "./index.js";

const model = await StreamModel.load();
let state = model.begin();
for (const chunk of ["A wonder", "ful film; I loved ", "every minute of it."]) ({ state } = await model.step(state, chunk));
const { answer } = await model.finish(state);
console.log(answer.label, answer.probability);
