// The one script of the page. In a browser it starts the page; everywhere else it only offers its checks.

import { check } from "./verify/check.ts";
import { readPolicy } from "./verify/policy.ts";
import { shorter } from "./verify/shorter.ts";
import { start } from "./page/page.ts";

/** For those who want to run the same checks from a console or a test. */
export const ledgerstone = { check, readPolicy, shorter };
Object.assign(globalThis, { ledgerstone });

if (typeof document !== "undefined") {
  start();
}
