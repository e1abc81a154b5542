// The list: polled from /api/messages, with what was typed here on top until the server has it.

import { askFor, byId } from './dom.js';
import { draftItem, messageItem } from './entries.js';

const pollMs = 2000;
const list = byId('messages');
const trouble = byId('trouble');
const live = byId('live');

/** What the server has, newest first. */
let messages = [];
/** True once the server has said what it has. */
let known = false;
/** What the server does not have yet, newest first: { key, author, text, why }. */
let drafts = [];
let nextKey = 1;
/** The items on show, by message id or draft key: made once and kept, so that a selection in them outlives a poll. */
const items = new Map();

function render() {
  const wanted = new Map();
  for (const draft of drafts) {
    const actions = { onRetry: () => retry(draft), onDiscard: () => discard(draft) };
    wanted.set(`${draft.key} ${draft.why}`, () => draftItem(draft, actions));
  }
  for (const message of messages) wanted.set(message.id, () => messageItem(message));
  for (const [key, item] of items) {
    if (wanted.has(key)) continue;
    item.remove();
    items.delete(key);
  }
  let at = list.firstElementChild;
  for (const [key, make] of wanted) {
    const item = items.get(key) ?? make();
    items.set(key, item);
    if (item === at) at = at.nextElementSibling;
    else list.insertBefore(item, at);
  }
  const blank = byId('blank');
  blank.hidden = wanted.size > 0 || (!known && !trouble.hidden);
  blank.textContent = known ? 'No messages yet. Write the first one.' : 'Loading the messages…';
  live.hidden = !known || !trouble.hidden;
  live.textContent = `${messages.length === 1 ? '1 message' : `${messages.length} messages`}, updated every ${pollMs / 1000} s`;
}

/**
 * The next poll may be answered by a replica that is a moment behind: what was newest on show stays on top, so that no
 * message is seen, gone, and seen again.
 */
function merge(shown, incoming) {
  if (incoming.length === 0) return shown;
  const ids = new Set(incoming.map(({ id }) => id));
  const common = shown.findIndex(({ id }) => ids.has(id));
  return common === -1 ? incoming : [...shown.slice(0, common), ...incoming];
}

function announce(fresh) {
  if (fresh.length === 0) return;
  const one = `New message from ${fresh[0].author || 'somebody'}`;
  byId('news').textContent = fresh.length === 1 ? one : `${fresh.length} new messages`;
}

function showTrouble(why) {
  const words = why && `The list could not be refreshed. ${why} Trying again every ${pollMs / 1000} s.`;
  // Only when it changes, or it would be read out on every poll.
  if (why && trouble.textContent !== words) trouble.textContent = words;
  trouble.hidden = !why;
}

let polling = false;

async function poll() {
  if (polling) return;
  polling = true;
  try {
    const merged = merge(messages, await askFor('api/messages', 10_000));
    const before = new Set(messages.map(({ id }) => id));
    if (known) announce(merged.filter(({ id }) => !before.has(id)));
    messages = merged;
    known = true;
    showTrouble('');
  } catch (failure) {
    showTrouble(failure.message);
  }
  polling = false;
  render();
}

async function send(draft) {
  draft.why = '';
  render();
  try {
    const message = await askFor('api/messages', 15_000, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ author: draft.author, text: draft.text }),
    });
    drafts = drafts.filter(other => other !== draft);
    // A poll on its way may have brought it already.
    if (!messages.some(({ id }) => id === message.id)) messages = [message, ...messages];
  } catch (failure) {
    draft.why = failure.unsure ? `${failure.message} It may still appear.` : failure.message;
    byId('news').textContent = `Your message was not posted. ${draft.why}`;
  }
  render();
}

// The button that had the focus goes with its item: the focus moves to where the next message is written.
function retry(draft) {
  send(draft);
  byId('text').focus();
}

function discard(draft) {
  drafts = drafts.filter(other => other !== draft);
  render();
  byId('text').focus();
}

/** Shows it at once, and sends it. */
export function post(author, text) {
  const draft = { key: `draft-${nextKey++}`, author, text, why: '' };
  drafts = [draft, ...drafts];
  send(draft);
}

document.addEventListener('visibilitychange', () => !document.hidden && poll());
setInterval(() => !document.hidden && poll(), pollMs);
poll();
