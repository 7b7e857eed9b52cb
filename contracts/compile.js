// Compiles AnchorHead.sol with the compiler of package-lock.json and the settings of settings.json.
// `node compile.js DIR` writes AnchorHead.{abi.json,bytecode.hex,runtime.hex,code-hash.txt} into DIR (default: here).
"use strict";
const fs = require("fs");
const path = require("path");
const solc = require("solc");

const here = __dirname;
const into = process.argv[2] || here;
const settings = JSON.parse(fs.readFileSync(path.join(here, "settings.json"), "utf8"));
if (solc.version() !== settings.compiler) {
  throw new Error(`the compiler is ${solc.version()}, settings.json names ${settings.compiler}: run npm ci`);
}
const source = fs.readFileSync(path.join(here, "AnchorHead.sol"), "utf8");
const input = { ...settings.input, sources: { "AnchorHead.sol": { content: source } } };
const output = JSON.parse(solc.compile(JSON.stringify(input)));
for (const message of output.errors || []) {
  throw new Error(message.formattedMessage);
}
const contract = output.contracts["AnchorHead.sol"].AnchorHead;
const runtime = contract.evm.deployedBytecode.object;
const { keccak256 } = require("js-sha3");
const files = {
  "AnchorHead.abi.json": JSON.stringify(contract.abi, null, 2),
  "AnchorHead.bytecode.hex": contract.evm.bytecode.object,
  "AnchorHead.runtime.hex": runtime,
  "AnchorHead.code-hash.txt": keccak256(Buffer.from(runtime, "hex")),
};
for (const [name, text] of Object.entries(files)) {
  fs.writeFileSync(path.join(into, name), text + "\n");
}
console.log(`AnchorHead: ${runtime.length / 2} bytes, code hash ${files["AnchorHead.code-hash.txt"]}`);
console.log(JSON.stringify(output.contracts["AnchorHead.sol"].AnchorHead.evm.methodIdentifiers));
