import type { CardAction, Notice, OutputCard, OutputsScene, PageMessage } from '../ui/outputs/messages.ts';
import { icon } from './icons.ts';

interface PageState {
  readonly scroll: number;
}

declare function acquireVsCodeApi(): {
  postMessage(message: PageMessage): void;
  getState(): PageState | undefined;
  setState(state: PageState): void;
};

const editor = acquireVsCodeApi();
const list = element('cards');
const drawn = new Map<string, { readonly key: string; readonly item: HTMLElement }>();
let restored = false;

function element(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`The page has no #${id}`);
  return found;
}

function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
}

function show(scene: OutputsScene): void {
  showNotice(element('notice'), scene.notice);
  showNotice(element('more'), scene.more);
  const labels = JSON.stringify(scene.labels);
  const items = scene.cards.map((card) => {
    const key = JSON.stringify(card) + labels;
    const before = drawn.get(card.file);
    // A card that did not change stays as it is: its picture is not loaded again and keeps the focus.
    const item = before?.key === key ? before.item : drawCard(card, scene);
    drawn.set(card.file, { key, item });
    return item;
  });
  const shown = new Set(scene.cards.map(({ file }) => file));
  for (const file of [...drawn.keys()]) if (!shown.has(file)) drawn.delete(file);
  place(items);
  if (!list.querySelector('.card[data-current]')) setCurrent(items[0]);
  if (!restored) {
    restored = true;
    window.scrollTo(0, editor.getState()?.scroll ?? 0);
  }
}

/** Moves only what is out of place: a moved element would lose its focus. */
function place(items: readonly HTMLElement[]): void {
  const wanted = new Set(items);
  for (const child of [...list.children]) if (!wanted.has(child as HTMLElement)) child.remove();
  items.forEach((item, index) => {
    const there = list.children[index];
    if (there !== item) list.insertBefore(item, there ?? null);
  });
}

function showNotice(place: HTMLElement, notice: Notice | undefined): void {
  place.hidden = notice === undefined;
  if (notice === undefined) return place.replaceChildren();
  const buttons = notice.steps.map(({ step, label }, index) => {
    const button = make('button', index === 0 ? 'step primary' : 'step', label);
    button.type = 'button';
    button.addEventListener('click', () => editor.postMessage({ type: 'next', step }));
    return button;
  });
  place.replaceChildren(make('p', '', notice.text), ...buttons);
}

function drawCard(card: OutputCard, { labels }: OutputsScene): HTMLElement {
  const act = (action: CardAction): void => editor.postMessage({ type: 'act', action, file: card.file });

  const open = make('button', 'thumb', drawMedia(card));
  open.type = 'button';
  open.title = card.tooltip;
  open.setAttribute('aria-label', `Open ${card.spoken}`);
  open.addEventListener('click', () => act('open'));

  const action = (id: Exclude<CardAction, 'open'>, unavailable = ''): HTMLElement => {
    const button = make('button', 'action', icon(id));
    button.type = 'button';
    button.title = unavailable === '' ? labels[id] : `${labels[id]}: ${unavailable}`;
    button.setAttribute('aria-label', `${button.title}, ${card.file}`);
    if (unavailable !== '') button.setAttribute('aria-disabled', 'true');
    button.addEventListener('click', () => {
      if (unavailable === '') act(id);
    });
    return button;
  };
  const tools = make('div', 'actions', action('repeat', card.noRepeat), action('copyPath'), action('reveal'));

  const caption = make('div', 'caption', make('span', 'name', card.file), make('span', 'origin', card.caption));
  if (card.warning !== '') caption.append(make('span', 'warning', icon('warning'), card.warning));
  caption.title = card.tooltip;
  const item = make('li', 'card', make('div', 'frame', open, tools), caption);
  item.addEventListener('focusin', () => setCurrent(item));
  return item;
}

/** A picture, a muted film that plays while it is looked at, or the sign of what cannot be shown. */
function drawMedia({ kind, source, file }: OutputCard): HTMLElement {
  const holder = make('span', 'media');
  const giveUp = (): void => {
    const ending = /\.([A-Za-z0-9]{1,5})$/.exec(file)?.[1] ?? 'file';
    holder.replaceChildren(make('span', 'stand-in', icon(kind === 'other' ? 'file' : 'broken'), ending.toUpperCase()));
  };
  if (kind === 'image') {
    const image = make('img', '');
    image.loading = 'lazy';
    image.decoding = 'async';
    image.alt = '';
    image.addEventListener('error', giveUp);
    image.src = source;
    holder.append(image);
  } else if (kind === 'video') {
    const film = make('video', '');
    film.muted = true;
    film.loop = true;
    film.playsInline = true;
    film.preload = 'metadata';
    film.addEventListener('error', giveUp);
    // Without a poster a film shows nothing before it plays: this asks for its first picture.
    film.src = `${source}#t=0.1`;
    const still = matchMedia('(prefers-reduced-motion: reduce)');
    holder.append(film, make('span', 'badge', icon('play')));
    holder.addEventListener('pointerenter', () => {
      if (!still.matches) void film.play().catch(giveUp);
    });
    holder.addEventListener('pointerleave', () => film.pause());
  } else {
    giveUp();
  }
  return holder;
}

/** One card takes part in the Tab order; arrow keys go from card to card. */
function setCurrent(current: Element | undefined): void {
  for (const item of list.children) {
    const isCurrent = item === current;
    item.toggleAttribute('data-current', isCurrent);
    for (const button of item.querySelectorAll('button')) button.tabIndex = isCurrent ? 0 : -1;
  }
}

function move(event: KeyboardEvent): void {
  const items = [...list.children];
  const at = items.findIndex((item) => item.contains(document.activeElement));
  const current = items[at];
  if (current === undefined) return;
  const top = (item: Element): number => Math.round(item.getBoundingClientRect().top);
  const columns = items.filter((item) => top(item) === top(items[0] ?? current)).length;
  const steps: Readonly<Record<string, number>> = {
    ArrowLeft: at - 1,
    ArrowRight: at + 1,
    ArrowUp: at - columns,
    ArrowDown: at + columns,
    Home: 0,
    End: items.length - 1,
  };
  const target = items[steps[event.key] ?? -1];
  if (target === undefined) return;
  event.preventDefault();
  target.querySelector<HTMLElement>('.thumb')?.focus();
}

function isScene(data: unknown): data is OutputsScene {
  return typeof data === 'object' && data !== null && 'type' in data && data.type === 'show' && 'cards' in data;
}

window.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
  if (isScene(data)) show(data);
});
list.addEventListener('keydown', move);
let saving: number | undefined;
window.addEventListener('scroll', () => {
  clearTimeout(saving);
  saving = setTimeout(() => editor.setState({ scroll: window.scrollY }), 150);
});
editor.postMessage({ type: 'ready' });
