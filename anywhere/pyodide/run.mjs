// Run a Python program in Pyodide, under Node: node run.mjs PROGRAM FOLDER... [KEY=VALUE...]; modules come from FOLDERs.
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { loadPyodide } from "pyodide";
import { XMLHttpRequest } from "xmlhttprequest";       // a browser has its own, which waits for the answer as this one does

globalThis.XMLHttpRequest = XMLHttpRequest;
const [program, ...rest] = process.argv.slice(2);
const env = Object.fromEntries(rest.filter(word => word.includes("=")).map(word => word.split(/=(.*)/s)));
const python = await loadPyodide({ env });

function copy(from, to) {
  python.FS.mkdirTree(to);
  for (const name of readdirSync(from)) {
    if (name === "__pycache__") continue;
    if (statSync(join(from, name)).isDirectory()) {
      copy(join(from, name), `${to}/${name}`);
      continue;
    }
    python.FS.writeFile(`${to}/${name}`, readFileSync(join(from, name)));
  }
}
for (const folder of rest.filter(word => !word.includes("="))) {
  copy(folder, "/modules/" + folder.split("/").pop());
}
python.runPython("import sys; sys.path.insert(0, '/modules')");
python.runPython(readFileSync(program, "utf8"));
