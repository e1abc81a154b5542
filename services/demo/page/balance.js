// Who answers: asks /api/whoami and shows how the answers spread over the backends. Nothing here is in the page as
// served, because the page may come from a cache.

import { askFor, byId, element, hueOf } from './dom.js';

const chipsShown = 24;
const now = byId('now');
const tally = byId('tally');
const chips = byId('chips');
const hint = byId('balance-hint');

/** @type {Map<string, { count: number, item: HTMLElement, number: HTMLElement, bar: HTMLProgressElement, share: HTMLElement }>} */
const cells = new Map();
let answers = 0;
let asking = false;

byId('curl').textContent = `curl -i ${new URL('api/whoami', document.baseURI)}`;

function cellOf(name) {
  const known = cells.get(name);
  if (known) return known;
  const item = element('li');
  item.dataset.hue = hueOf(name);
  const number = element('strong');
  const bar = element('progress');
  bar.setAttribute('aria-hidden', 'true');
  const share = element('small');
  item.append(element('span', 'name', name), number, bar, share);
  const cell = { count: 0, item, number, bar, share };
  cells.set(name, cell);
  const order = [...cells.keys()].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
  tally.append(...order.map(key => cells.get(key).item));
  return cell;
}

function addChip(text, className, hue) {
  const chip = element('li', className, text);
  if (hue !== undefined) chip.dataset.hue = hue;
  chips.prepend(chip);
  while (chips.childElementCount > chipsShown) chips.lastElementChild.remove();
}

function showAnswer({ name, broker }, ms) {
  answers++;
  cellOf(name).count++;
  for (const [key, { count, item, number, bar, share }] of cells) {
    item.classList.toggle('last', key === name);
    number.textContent = count;
    bar.max = answers;
    bar.value = count;
    share.textContent = `${Math.round((100 * count) / answers)} % of ${answers === 1 ? '1 answer' : `${answers} answers`}`;
  }
  addChip(name, '', hueOf(name));
  now.className = 'now';
  now.textContent = `${name} answered in ${Math.max(1, Math.round(ms))} ms.`;
  if (broker === 'blocked') hint.textContent = `${name} says that the message broker takes no messages at the moment.`;
  else if (broker !== 'up')
    hint.textContent = `${name} has no connection to the message broker: its messages may be old.`;
  else if (cells.size === 1 && answers >= 4) {
    hint.textContent = 'Only one backend has answered so far. Open this page through the proxy and they take turns.';
  } else hint.textContent = '';
}

async function askOnce() {
  const from = performance.now();
  try {
    showAnswer(await askFor('api/whoami', 10_000), performance.now() - from);
    return true;
  } catch (failure) {
    now.className = 'now failed';
    now.textContent = failure.message;
    addChip('no answer', 'failed');
    return false;
  }
}

/** One after the other, so that one sees whose turn it is. */
async function ask(times) {
  if (asking) return;
  asking = true;
  for (let left = times; left > 0 && (await askOnce()); left--) {}
  asking = false;
}

byId('ask').addEventListener('click', () => ask(1));
byId('ask-many').addEventListener('click', () => ask(12));
ask(1);
