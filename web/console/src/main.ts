// The one script of the page. In a browser it starts the page; everywhere else it does nothing.

import { start } from "./page/page.ts";

if (typeof document !== "undefined") {
  start();
}
