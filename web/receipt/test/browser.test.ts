// The built page in a browser, opened from disk as a reader opens it.
//
// Danger: the page shows what was not checked as true, runs what a file holds, asks a network, or cannot be used by keyboard,
// screen reader, phone or printer. End: none of that, in every language and both themes, and the verdict stands within 300 ms.

import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { shorter } from "../src/verify/shorter.ts";
import { CATALOGUES, type Language } from "../src/words/language.ts";
import { golden, goldenText, PAGE, ROOT } from "./support.ts";

const CHROMIUM = process.env["CHROMIUM"] || "/usr/bin/chromium";
const VERDICT_MILLISECONDS_MAX = 300;
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const LANGUAGES = Object.keys(CATALOGUES) as Language[];
const RECEIPT = `${ROOT}tests/golden/receipt.json`;
const LATER = `${ROOT}tests/golden/receipt-later.json`;
const ANCHORED = `${ROOT}tests/golden/receipt-anchored.json`;
const POLICY = `${ROOT}tests/golden/log.policy`;

const there = existsSync(CHROMIUM);
if (!there && process.env["CI"] === "true") {
  throw new Error(`${CHROMIUM} is needed under CI=true: install the package chromium or set CHROMIUM`);
}
if (!there) {
  console.log(`skipped because ${CHROMIUM} is not there: install the package chromium or set CHROMIUM`);
}

/** Text that would run, turn the line around, or hide, if the page let it. */
const HOSTILE = '<img src=x onerror="window.ran=1"><script>window.ran=1</script>\u202egnp.exe\\u0007\u200b{{7*7}}';

describe.runIf(there)("the page", () => {
  const desk = mkdtempSync(join(tmpdir(), "receipt-page-"));
  let browser: Browser;

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
  });

  afterAll(async () => {
    await browser.close();
    rmSync(desk, { recursive: true });
  });

  function written(name: string, content: string | Uint8Array): string {
    const path = join(desk, name);
    writeFileSync(path, content);
    return path;
  }

  const changed = (): string => written("changed.json", goldenText("receipt.json").replace('"text": "deny"', '"text": "approve"'));

  /** The receipt that is made once the record was erased: the proof, and no facts. */
  const closed = (): string => written("closed.json", shorter(golden("receipt.json"), () => false));

  /** Opens the page, does something with it, and sees that it asked no network and had no error. */
  async function withPage<T>(options: BrowserContextOptions, use: (page: Page) => Promise<T>, file = PAGE): Promise<T> {
    const context = await browser.newContext({ locale: "en", ...options });
    const page = await context.newPage();
    const asked: string[] = [];
    const errors: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    page.on("pageerror", (error) => errors.push(error.message));
    page.on("console", (message) => errors.push(message.text()));
    const url = pathToFileURL(file).href;
    await page.goto(url);
    const result = await use(page);
    expect(asked.filter((asked) => !asked.startsWith("blob:"))).toEqual([url]);
    expect(errors).toEqual([]);
    await context.close();
    return result;
  }

  async function choose(page: Page, ...files: string[]): Promise<void> {
    await page.setInputFiles("#receipt-file", files);
    await page.waitForSelector("#verdict-title");
  }

  /** What tells how many milliseconds of the processor the page's thread has taken. */
  async function meter(page: Page): Promise<() => Promise<number>> {
    const session = await page.context().newCDPSession(page);
    await session.send("Performance.enable", { timeDomain: "threadTicks" });
    return async () => {
      const { metrics } = await session.send("Performance.getMetrics");
      return (metrics.find(({ name }) => name === "TaskDuration")?.value ?? NaN) * 1000;
    };
  }

  const verdict = (page: Page): Promise<string | null> => page.textContent("#verdict-title");

  /** The page as a link to a receipt opens it. */
  function linked(receipt: string): string {
    const filled = (page: string, id: string, content: Uint8Array): string =>
      page.replace(`id="${id}"></script>`, `id="${id}">${Buffer.from(content).toString("base64")}</script>`);
    const page = filled(readFileSync(PAGE, "utf8"), "embedded-policy", golden("log.policy"));
    return written("linked.html", filled(page, "embedded-receipt", golden(receipt)));
  }

  test("a page that came with a receipt opens with it, says whose keys it trusts, and hands the receipt out", async () => {
    for (const name of ["receipt.json", "receipt-cose.json"]) {
      await withPage(
        { acceptDownloads: true },
        async (page) => {
          await page.waitForSelector(".verdict.verified");
          expect(await page.textContent(".verdict")).toContain(CATALOGUES.en.verdict.embedded);
          const download = page.waitForEvent("download");
          await page.click(`button:text-is("${CATALOGUES.en.bar.save}")`);
          const path = await (await download).path();
          expect(readFileSync(path)).toEqual(Buffer.from(golden(name)));
        },
        linked(name),
      );
    }
  });

  test("how to contest is shown as text that leads nowhere", async () => {
    const told = goldenText("receipt.json")
      .replace('"path": "model/name"', '"path": "contest/route/url"')
      .replace('"text": "lending"', '"text": "https://bank.example/<b>contest</b>"');
    await withPage({}, async (page) => {
      await choose(page, written("contest.json", told));
      const section = await page.textContent(".decision");
      expect(section).toContain(CATALOGUES.en.decision.contest);
      expect(await page.locator(".decision a").count()).toBe(0);
      expect(await page.locator(".decision b").count()).toBe(0);
    });
  });

  test("a receipt of an erased record is genuine and says what having no facts can mean", async () => {
    await withPage({}, async (page) => {
      await choose(page, closed(), POLICY);
      expect(await verdict(page)).toBe(CATALOGUES.en.verdict.verified);
      const section = await page.textContent(".decision");
      expect(section).toContain(CATALOGUES.en.decision.closed);
      expect(section).toContain(CATALOGUES.en.decision.closedText);
      expect(section).not.toContain(CATALOGUES.en.decision.noReasons);
      expect(await page.locator(".share button").count()).toBe(0);
    });
  });

  test("says genuine, changed, or not decided", async () => {
    const words = CATALOGUES.en.verdict;
    await withPage({}, async (page) => {
      await choose(page, RECEIPT, POLICY);
      expect(await verdict(page)).toBe(words.verified);
      expect(await page.textContent(".action")).toBe("Declined");
      expect(await page.evaluate(() => document.activeElement?.id)).toBe("verdict-title");
    });
    await withPage({}, async (page) => {
      await choose(page, changed(), POLICY);
      expect(await verdict(page)).toBe(words.failed);
      expect(await page.textContent("#decision-title")).toBe(CATALOGUES.en.decision.claimed);
      expect(await page.textContent(".why")).toBe(CATALOGUES.en.reasons["fields-changed"]);
    });
    await withPage({}, async (page) => {
      await choose(page, RECEIPT);
      expect(await verdict(page)).toBe(words.noKeys);
      expect(await page.textContent("#decision-title")).toBe(CATALOGUES.en.decision.unsigned);
      await page.setInputFiles("#keys-file", POLICY);
      await page.waitForSelector(".verdict.verified");
    });
    await withPage({}, async (page) => {
      await choose(page, ANCHORED, POLICY);
      expect(await verdict(page)).toBe(words.anchorsOpen);
    });
  });

  test("a file dropped on it has its verdict within the time that is promised", async () => {
    const drop = async (page: Page): Promise<number> =>
      page.evaluate(
        async ([receipt, policy]) => {
          const files = new DataTransfer();
          files.items.add(new File([receipt], "receipt.json"));
          files.items.add(new File([policy], "log.policy"));
          const start = performance.now();
          const answered = new Promise<number>((resolve) => {
            const seen = (): void => {
              if (document.querySelector("#verdict-title") === null) {
                requestAnimationFrame(seen);
              } else {
                resolve(performance.now() - start);
              }
            };
            seen();
          });
          document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
          return answered;
        },
        [goldenText("receipt.json"), goldenText("log.policy")] as const,
      );
    const times: number[] = [];
    const spent: number[] = [];
    for (let turn = 0; turn < 5; turn += 1) {
      await withPage({}, async (page) => {
        const processorTime = await meter(page);
        const before = await processorTime();
        times.push(await drop(page));
        spent.push((await processorTime()) - before);
      });
    }
    const shown = (all: number[]): string => all.map((time) => `${Math.round(time)} ms`).join(", ");
    console.log(`from drop to verdict on a fresh page: ${shown(times)}; of that processor time of its thread: ${shown(spent)}`);
    // What the clock says depends on what the machine does beside it; what the page takes is the thread's own time.
    expect(spent.sort((one, other) => one - other)[2]).toBeLessThan(VERDICT_MILLISECONDS_MAX);
    expect(spent[0]).toBeGreaterThan(1);
  });

  test("text of a file does nothing and hides nothing", async () => {
    const hostile = goldenText("receipt.json").replace('"text": "deny"', `"text": "${HOSTILE.replaceAll('"', '\\"')}"`);
    await withPage({}, async (page) => {
      await choose(page, written("<b>&.json", hostile), POLICY);
      expect(await page.evaluate(() => [Reflect.get(window, "ran"), document.querySelectorAll("main img, main script").length])).toEqual([undefined, 0]);
      const action = page.locator(".action bdi");
      expect(await action.locator(".mark").allTextContents()).toEqual(["U+202E", "U+0007", "U+200B"]);
      expect(await action.textContent()).toContain('<img src=x onerror="window.ran=1">');
      expect(await page.content()).not.toMatch(/[\u202e\u200b\u0007]/);
    });
  });

  test("what is no receipt is refused in plain words", async () => {
    const words = CATALOGUES.en.problem;
    const refused = async (problem: string, ...files: string[]): Promise<void> =>
      withPage({}, async (page) => {
        await page.setInputFiles("#receipt-file", files);
        expect(await page.textContent("#problem")).toBe(problem);
        expect(await page.evaluate(() => document.activeElement?.id)).toBe("problem");
      });
    await refused(words.tooLarge, written("large.json", new Uint8Array(4 * 1024 * 1024 + 1).fill(0x20)));
    await refused(words.keys("1"), written("text.txt", "hello\n"));
    await refused(words.keys(""), written("picture.png", Uint8Array.of(0x89, 0x50)));
    await refused(words.twoReceipts, RECEIPT, ANCHORED);
    await withPage({}, async (page) => {
      await choose(page, written("empty.json", "{}"));
      expect(await verdict(page)).toBe(CATALOGUES.en.verdict.failed);
      expect(await page.textContent(".why")).toBe(CATALOGUES.en.reasons.unreadable);
    });
  });

  test("a file of 100 MB is refused before a byte of it is read", async () => {
    await withPage({}, async (page) => {
      const outcome = await page.evaluate(async () => {
        const file = new File([new Uint8Array(100_000_000)], "large.json");
        let reads = 0;
        const count = (): Promise<ArrayBuffer> => Promise.resolve(new ArrayBuffer((reads += 1)));
        Object.defineProperty(File.prototype, "arrayBuffer", { value: count });
        const files = new DataTransfer();
        files.items.add(file);
        document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
        await new Promise((resolve) => setTimeout(resolve));
        return [reads, document.querySelector("#problem")?.textContent];
      });
      expect(outcome).toEqual([0, CATALOGUES.en.problem.tooLarge]);
    });
  });

  test("keys that came with the page are said to, with their fingerprint", async () => {
    const place = '<script type="text/plain" id="embedded-policy"></script>';
    const keys = Buffer.from(golden("log.policy")).toString("base64");
    const page = readFileSync(PAGE, "utf8").replace(place, place.replace("></", `>${keys}</`));
    await withPage({}, async (opened) => {
      expect(await opened.textContent(".keys .warning")).toBe(CATALOGUES.en.keys.embedded);
      expect(await opened.textContent(".keys")).toContain(createHash("sha256").update(golden("log.policy")).digest("hex"));
      await choose(opened, RECEIPT);
      expect(await verdict(opened)).toBe(CATALOGUES.en.verdict.verified);
    }, written("page.html", page));
  });

  test("saves a shorter receipt that is genuine", async () => {
    await withPage({}, async (page) => {
      await choose(page, RECEIPT, POLICY);
      await page.click(".share summary");
      await page.check("#keep-8");
      const saving = page.waitForEvent("download");
      await page.click(".share button");
      const path = join(desk, "shorter.json");
      await (await saving).saveAs(path);
      const { fields } = JSON.parse(readFileSync(path, "utf8")) as { fields: { path: string }[] };
      expect(fields.map((field) => field.path)).toEqual(["decision/id", "decision/route", "outcome/action"]);
      await page.click(".actions button");
      await choose(page, path);
      expect(await verdict(page)).toBe(CATALOGUES.en.verdict.verified);
    });
  });

  test("it can be used with the keyboard alone", async () => {
    await withPage({}, async (page) => {
      const reached: (string | undefined)[] = [];
      for (let step = 0; step < 4; step += 1) {
        await page.keyboard.press("Tab");
        reached.push(await page.evaluate(() => document.activeElement?.id || document.activeElement?.className));
      }
      expect(reached).toEqual(["skip", "language", "receipt-file", "keys-file"]);
      await page.focus("#language");
      await page.keyboard.press("ArrowDown");
      await page.waitForSelector("html[lang=de]");
      expect(await page.evaluate(() => document.activeElement?.id)).toBe("language");
    });
  });

  describe.each(LANGUAGES)("in %s", (language) => {
    test.each(["light", "dark"] as const)("has nothing for axe to complain of, %s", async (colorScheme) => {
      for (const files of [[], [RECEIPT, POLICY], [changed(), POLICY], [ANCHORED, POLICY], [LATER, POLICY], [closed(), POLICY], [RECEIPT]]) {
        await withPage({ locale: language, colorScheme }, async (page) => {
          if (files.length > 0) {
            await choose(page, ...files);
            await page.evaluate(() => document.querySelectorAll("details").forEach((part) => part.setAttribute("open", "")));
          }
          await page.evaluate(AXE);
          const violations = await page.evaluate(async () => {
            const axe = Reflect.get(window, "axe") as { run: (options: object) => Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
            const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
            const { violations } = await axe.run({ runOnly: { type: "tag", values: tags } });
            return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" | ")}`);
          });
          expect(violations).toEqual([]);
          expect(await page.getAttribute("html", "lang")).toBe(language);
        });
      }
    });

    test("fits a phone", async () => {
      await withPage({ locale: language, viewport: { width: 320, height: 640 } }, async (page) => {
        await choose(page, ANCHORED, POLICY);
        expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(320);
      });
    });
  });

  test("is printed on a few pages", async () => {
    await withPage({}, async (page) => {
      await choose(page, RECEIPT, POLICY);
      const pdf = (await page.pdf({ format: "A4" })).toString("latin1");
      const pages = pdf.match(/\/Type\s*\/Page\b/g)?.length ?? 0;
      expect(pages).toBeGreaterThanOrEqual(1);
      expect(pages).toBeLessThanOrEqual(4);
    });
  });
});
