// Holds every ECS event against Elastic's own list of fields. ecs.js FOLDER NODE_MODULES: the folder has ecs.txt.
"use strict";
const assert = require("assert");
const fs = require("fs");
const path = require("path");

const [folder, modules] = process.argv.slice(2);
const { EcsFlat, EcsVersion } = require(path.join(modules, "@elastic", "ecs"));

/** Calls `visit` with the dotted name of every value that is no object. */
function walk(value, name, visit) {
  if (value !== null && typeof value === "object" && !Array.isArray(value)) {
    for (const [key, member] of Object.entries(value)) walk(member, name ? `${name}.${key}` : key, visit);
  } else {
    visit(name, value);
  }
}

const fits = {
  keyword: (value) => typeof value === "string" && value.length <= 1024,
  match_only_text: (value) => typeof value === "string",
  long: Number.isSafeInteger,
  date: (value) => typeof value === "string" && new Date(value).toISOString() === value,
};

const lines = fs.readFileSync(path.join(folder, "ecs.txt"), "utf8").split("\n").slice(0, -1);
for (const line of lines) {
  const event = JSON.parse(line);
  assert.strictEqual(event.ecs.version, EcsVersion);
  walk(event, "", (name, value) => {
    if (name.startsWith("ledgerstone.")) return;
    const field = EcsFlat[name];
    assert(field, `${name} is no field of ECS ${EcsVersion}`);
    const isArray = field.normalize.includes("array");
    assert.strictEqual(Array.isArray(value), isArray, `${name} must ${isArray ? "" : "not "}be an array`);
    for (const one of isArray ? value : [value]) {
      assert(fits[field.type]?.(one), `${name}: ${JSON.stringify(one)} is no ${field.type}`);
      const allowed = field.allowed_values?.map((known) => known.name);
      assert(!allowed || allowed.includes(one), `${name} may not be ${one}`);
    }
  });
  const category = EcsFlat["event.category"].allowed_values.find((known) => known.name === event.event.category[0]);
  assert(category.expected_event_types.includes(event.event.type[0]), `${category.name} has no ${event.event.type[0]}`);
}
console.log(`ecs: ${lines.length} events`);
