// Opens files with netron's parser, as its own tests do, and prints the number of nodes of each graph:
// node netron.mjs FOLDER_OF_NETRON FILE...
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, ...files] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(join(folder, `${name}.js`)).href);
const [base, view] = [await load("base"), await load("view")];
const host = {
  version: "0",
  environment: () => undefined,
  exception: (error) => {
    throw error;
  },
  event: () => {},
  require: (id) => load(id.replace("./", "")),
  request: async (file, encoding) => readFileSync(join(folder, file), encoding ?? null),
};
for (const file of files) {
  const context = {
    identifier: basename(file),
    name: basename(file),
    stream: new base.BinaryStream(readFileSync(file)),
    entries: new Map(),
    host,
    request: host.request,
    require: host.require,
    asset: (name) => host.request(name, "utf-8"),
    error: host.exception,
  };
  const service = new view.ModelFactoryService(host);
  const model = await service.open(context);
  console.log(model.modules[0].nodes.length);
}
