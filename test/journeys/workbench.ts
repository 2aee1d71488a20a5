import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium, type Frame, type Locator, type Page } from 'playwright-core';
import { chromiumArgs, ensureChromium } from '../host/runner/chromium.ts';
import { ensureServerHost } from '../host/runner/installServerHost.ts';
import { startServerHost } from '../host/runner/serverHost.ts';

const root = path.resolve(import.meta.dirname, '..', '..');
/** How long a person-visible effect may take before a step fails. */
const stepTimeoutMs = 20_000;
const openTimeoutMs = 60_000;

export interface WorkbenchOptions {
  /** User settings. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Machine-scoped settings: addresses and caps that a workspace cannot change. */
  readonly machineSettings?: Readonly<Record<string, unknown>>;
  /** Files of the workspace by relative path; `.vscode/settings.json` makes workspace settings. */
  readonly workspaceFiles?: Readonly<Record<string, string | Uint8Array>>;
  /** One of `workspaceFiles`, opened in the editor. */
  readonly openFile?: string;
  /** Added to the environment of the server, which the extension host inherits. */
  readonly env?: Readonly<Record<string, string>>;
  readonly theme?: 'dark' | 'light';
  /** 'ask' leaves the workspace untrusted until somebody grants trust, as VS Code does for a person. */
  readonly trust?: 'granted' | 'ask';
  readonly size?: { readonly width: number; readonly height: number };
}

export interface TreeRow {
  /** What the row shows: label and description. */
  readonly text: string;
  /** What a screen reader says. */
  readonly label: string;
  /** 1 for top rows. */
  readonly level: number;
  /** Undefined for a row without children. */
  readonly expanded: boolean | undefined;
}

export interface Notification {
  readonly severity: 'info' | 'warning' | 'error';
  readonly message: string;
  readonly buttons: readonly string[];
}

/** Opens the real workbench with the extension (built into dist/ before) installed, in a workspace of its own. */
export async function openWorkbench(options: WorkbenchOptions = {}): Promise<Workbench> {
  const workspace = mkdtempSync(path.join(tmpdir(), 'podrelay-journey-'));
  for (const [name, content] of Object.entries(options.workspaceFiles ?? {})) {
    const file = path.join(workspace, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
  const removeWorkspace = () => rmSync(workspace, { recursive: true, force: true, maxRetries: 5 });
  process.once('exit', removeWorkspace);
  const undo: (() => unknown)[] = [removeWorkspace, () => process.removeListener('exit', removeWorkspace)];
  const close = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    const server = await startServerHost({
      entry: ensureServerHost(path.join(root, '.vscode-test')),
      env: { ...process.env, ...options.env },
      settings: { ...journeySettings(options.theme ?? 'dark'), ...options.settings },
      machineSettings: options.machineSettings ?? {},
      workspaceTrust: options.trust === 'ask',
      install: root,
    });
    undo.push(() => server.close());
    const page = await openPage(options.size, undo);
    const openFile = options.openFile === undefined ? {} : { openFile: path.join(workspace, options.openFile) };
    const workbench = new Workbench(page, workspace, server.dataFolder, close);
    await page.goto(server.address({ folder: workspace, ...openFile }));
    await workbench.ready();
    const { openFile: wanted } = options;
    // Opened late, it would take the focus from what a test has begun, and a quick pick closes without that.
    if (wanted !== undefined) {
      await workbench.until(
        'the file',
        async () => (await workbench.tabs()).includes(path.basename(wanted)),
        openTimeoutMs,
      );
    }
    return workbench;
  } catch (error) {
    await close();
    throw error;
  }
}

/** Takes over the workbench of a server that is running already, at the address it printed. */
export async function visitWorkbench(address: string, workspace: string): Promise<Workbench> {
  const undo: (() => unknown)[] = [];
  const close = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    const workbench = new Workbench(await openPage(undefined, undo), workspace, '', close);
    await workbench.page.goto(address);
    await workbench.ready();
    return workbench;
  } catch (error) {
    await close();
    throw error;
  }
}

async function openPage(size: WorkbenchOptions['size'], undo: (() => unknown)[]): Promise<Page> {
  const browser = await chromium.launch({ executablePath: ensureChromium(), args: [...chromiumArgs] });
  undo.push(() => browser.close());
  // Each turn of a spinner is drawn without a GPU: still ones leave the machine to the tests.
  const page = await browser.newPage({ viewport: size ?? { width: 1280, height: 800 }, reducedMotion: 'reduce' });
  page.setDefaultTimeout(stepTimeoutMs);
  return page;
}

function journeySettings(theme: 'dark' | 'light'): Record<string, unknown> {
  return {
    'workbench.colorTheme': theme === 'dark' ? 'Default Dark Modern' : 'Default Light Modern',
    'window.autoDetectColorScheme': false,
    'git.enabled': false,
    'workbench.editor.enablePreview': false,
  };
}

/** A workbench as a person uses it: everything goes through what is on the screen. */
export class Workbench {
  /** Playwright's page, for what the helpers do not cover. */
  readonly page: Page;
  /** Absolute path of the workspace folder. */
  readonly workspace: string;
  /** Absolute path of all that its server keeps; '' for a server that was visited. */
  readonly storage: string;
  /** Console lines of the page and of its extension host, oldest first. */
  readonly log: string[] = [];
  readonly #close: () => Promise<void>;

  constructor(page: Page, workspace: string, storage: string, close: () => Promise<void>) {
    this.page = page;
    this.workspace = workspace;
    this.storage = storage;
    this.#close = close;
    page.on('console', (message) => this.log.push(message.text()));
  }

  /** Waits until the workbench has drawn its status bar and activity bar. */
  async ready(): Promise<void> {
    await this.page.locator('.monaco-workbench .part.statusbar').waitFor({ timeout: openTimeoutMs });
    await this.page.locator('.part.activitybar .action-item').first().waitFor({ timeout: openTimeoutMs });
  }

  /** Reloads the window: the extension host ends and a new one starts. */
  async reload(): Promise<void> {
    await this.page.reload();
    await this.ready();
  }

  /** Runs a command of the palette by its whole title, such as 'PodRelay: Run Workflow'. */
  async command(title: string): Promise<void> {
    // The extension's commands are in the palette from the moment its manifest is read, a little after the first paint.
    const row = this.#quickRow(title);
    const until = Date.now() + openTimeoutMs;
    for (;;) {
      await this.page.keyboard.press('F1');
      // A message or an editor that opens at this moment takes the focus, and the palette closes: then once more.
      const found = await (async () => {
        await this.#quickBox().fill(`>${title}`, { timeout: 3_000 });
        await row.waitFor({ timeout: 3_000 });
      })().then(
        () => true,
        () => false,
      );
      if (found) break;
      await this.page.keyboard.press('Escape');
      if (Date.now() > until) throw new Error(`The palette has no command '${title}'`);
    }
    await row.click();
    // What the command asks next uses the same box: its questions are there once the palette's own text is gone.
    await this.until('the palette to close', async () => {
      const text = await this.#quickBox()
        .inputValue({ timeout: 200 })
        .catch(() => '');
      return !text.startsWith('>') || !(await this.#quickBox().isVisible());
    });
  }

  /** The entries of the quick pick on the screen, as they read. */
  async quickItems(): Promise<string[]> {
    const rows = this.page.locator('.quick-input-widget .quick-input-list .monaco-list-row');
    await rows.first().waitFor();
    return (await rows.allInnerTexts()).map(oneLine);
  }

  /** Chooses the entry whose text contains `text`. */
  async choose(text: string): Promise<void> {
    const row = this.page.locator('.quick-input-widget .quick-input-list .monaco-list-row', { hasText: text }).first();
    await row.click();
  }

  /** Answers the input box on the screen. */
  async answer(text: string): Promise<void> {
    await this.#quickBox().fill(text);
    await this.page.keyboard.press('Enter');
  }

  /** Opens a view container of the activity bar, such as 'PodRelay'. */
  async openContainer(name: string): Promise<void> {
    const tab = this.page.locator('.part.activitybar').getByRole('tab', { name, exact: false }).first();
    await tab.waitFor({ timeout: openTimeoutMs });
    if ((await tab.getAttribute('aria-expanded')) !== 'true') await tab.click();
    await this.page.locator('.part.sidebar .pane-header').first().waitFor();
  }

  /** The pane of a view in the side bar, by the view's name. */
  view(name: string): Locator {
    const header = this.page.locator(`.pane-header[aria-label^="${name}"]`);
    return this.page.locator('.part.sidebar .pane', { has: header });
  }

  /** The rows of a tree view that are on the screen. Empty when the view shows its welcome text. */
  async treeRows(view: string): Promise<TreeRow[]> {
    return await this.view(view)
      .locator('.monaco-list-row')
      .evaluateAll((rows) =>
        rows.map((row) => ({
          text: row.querySelector('.monaco-icon-label')?.textContent ?? row.textContent ?? '',
          label: row.getAttribute('aria-label') ?? '',
          level: Number(row.getAttribute('aria-level')),
          expanded: row.hasAttribute('aria-expanded') ? row.getAttribute('aria-expanded') === 'true' : undefined,
        })),
      );
  }

  /** The row of a tree view whose text contains `text`; its children and inline actions hang on it. */
  treeRow(view: string, text: string | RegExp): Locator {
    return this.view(view).locator('.monaco-list-row', { hasText: text }).first();
  }

  /** Clicks an inline action of a row, by the action's title. */
  async rowAction(view: string, text: string | RegExp, action: string): Promise<void> {
    const row = this.treeRow(view, text);
    // A person clicks what stands still, too.
    const place = async (): Promise<string> => JSON.stringify(await row.boundingBox());
    for (let before = ''; before !== (before = await place());) await this.page.waitForTimeout(250);
    await row.hover();
    await row.locator(`.action-label[aria-label^="${action}"]`).click();
  }

  /** The text of a view's welcome content, with its buttons. */
  async welcome(view: string): Promise<string> {
    const content = this.view(view).locator('.welcome-view-content');
    await content.waitFor();
    return oneLine(await content.innerText());
  }

  /** The status bar items of the extension: their texts, left to right. Icons are not part of the text. */
  async statusTexts(): Promise<string[]> {
    return (await this.statusItem().allInnerTexts()).map(oneLine);
  }

  /** The extension's status bar items; with `text`, those that contain it. */
  statusItem(text?: string | RegExp): Locator {
    const items = this.page.locator('.part.statusbar .statusbar-item[id^="podrelay."]');
    return text === undefined ? items : items.filter({ hasText: text });
  }

  /** The messages that are on the screen as toasts, newest first. */
  async notifications(): Promise<Notification[]> {
    return await this.page.locator('.notifications-toasts .notification-list-item').evaluateAll((toasts) =>
      toasts.map((toast) => {
        const icon = toast.querySelector('.notification-list-item-icon')?.className ?? '';
        return {
          severity: icon.includes('error') ? 'error' : icon.includes('warning') ? 'warning' : 'info',
          message: toast.querySelector('.notification-list-item-message')?.textContent ?? '',
          buttons: [...toast.querySelectorAll('.monaco-button')].map((button) => button.textContent ?? ''),
        } as const;
      }),
    );
  }

  /** Waits for a toast with this text and returns it, for reading or for clicking one of its buttons. */
  async notification(text: string | RegExp, timeoutMs = stepTimeoutMs): Promise<Locator> {
    const toast = this.page.locator('.notifications-toasts .notification-list-item', { hasText: text }).first();
    await toast.waitFor({ timeout: timeoutMs });
    return toast;
  }

  /** Clicks a button of the toast with this text. */
  async answerNotification(text: string | RegExp, button: string): Promise<void> {
    const toast = await this.notification(text);
    await toast.getByRole('button', { name: button }).click();
  }

  /** Clicks a button of the modal dialog on the screen and returns the dialog's text. */
  async answerDialog(button: string): Promise<string> {
    const dialog = this.page.locator('.monaco-dialog-box');
    await dialog.waitFor();
    const text = oneLine(await dialog.innerText());
    await dialog.getByRole('button', { name: button }).click();
    await dialog.waitFor({ state: 'detached' });
    return text;
  }

  /** File names of the open editors, left to right. */
  async tabs(): Promise<string[]> {
    const tabs = this.page.locator('.part.editor .tab');
    return await tabs.evaluateAll((all) => all.map((tab) => tab.getAttribute('data-resource-name') ?? ''));
  }

  /** The content frame of the webview in which `selector` is found. */
  async webview(selector: string): Promise<Frame> {
    return await this.until(`a webview with ${selector}`, async () => {
      for (const frame of this.page.frames()) {
        const count = await frame
          .locator(selector)
          .count()
          .catch(() => 0);
        if (frame !== this.page.mainFrame() && count > 0) return frame;
      }
      return undefined;
    });
  }

  /** Asks again until `read` gives something other than undefined or false; throws an Error naming `what` when it does not. */
  async until<T>(
    what: string,
    read: () => Promise<T | undefined | false> | T | undefined | false,
    timeoutMs = stepTimeoutMs,
  ): Promise<T> {
    const until = Date.now() + timeoutMs;
    for (;;) {
      const value = await read();
      if (value !== undefined && value !== false) return value;
      if (Date.now() > until) throw new Error(`Waited ${String(timeoutMs / 1000)} s for ${what}`);
      await this.page.waitForTimeout(50);
    }
  }

  /** Keeps the window, or the part of it that matches `selector`, as out/screenshots/NAME.png. */
  async screenshot(name: string, selector?: string): Promise<string> {
    const file = path.join(root, 'out', 'screenshots', `${name}.png`);
    const clip = selector === undefined ? undefined : await this.page.locator(selector).first().boundingBox();
    await this.page.screenshot({ path: file, animations: 'disabled', caret: 'hide', ...(clip ? { clip } : {}) });
    return file;
  }

  /** Ends browser and server and removes the workspace. May be called twice. */
  async close(): Promise<void> {
    await this.#close();
  }

  #quickBox(): Locator {
    return this.page.locator('.quick-input-widget .quick-input-box input');
  }

  /** A palette row by its whole title: others may only begin with it. */
  #quickRow(title: string): Locator {
    const exact = this.page.locator('.label-name').getByText(title, { exact: true });
    return this.page.locator('.quick-input-widget .quick-input-list .monaco-list-row', { has: exact }).first();
  }
}

/** Text of the screen with its line breaks, no-break spaces and icon glyphs gone. */
function oneLine(text: string): string {
  return text
    .replaceAll(/[\u{e000}-\u{f8ff}]/gu, '')
    .replaceAll(/\s+/g, ' ')
    .trim();
}
