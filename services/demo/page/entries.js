import { button, element, hueOf } from './dom.js';

function timeOf(iso) {
  const at = new Date(iso);
  const sameDay = at.toDateString() === new Date().toDateString();
  const time = { hour: '2-digit', minute: '2-digit' };
  const made = element('time', '', at.toLocaleString([], sameDay ? time : { ...time, day: 'numeric', month: 'short' }));
  made.dateTime = iso;
  made.title = at.toLocaleString();
  return made;
}

function entry({ author, text }) {
  const item = element('li');
  const meta = element('div', 'meta');
  meta.append(author ? element('bdi', 'author', author) : element('span', 'author nobody', 'anonymous'));
  const body = element('p', 'body', text);
  body.dir = 'auto';
  item.append(meta, body);
  return { item, meta };
}

export function messageItem(message) {
  const { item, meta } = entry(message);
  if (message.at) meta.append(timeOf(message.at));
  const by = element('span', 'name', message.replica);
  by.dataset.hue = hueOf(message.replica);
  by.title = `Posted through ${message.replica}`;
  meta.append(by);
  return item;
}

/** A message that the server does not have yet: on its way, or refused with `why`. */
export function draftItem(draft, { onRetry, onDiscard }) {
  const { item, meta } = entry(draft);
  item.className = draft.why ? 'failed' : 'pending';
  meta.append(element('span', 'state', draft.why ? 'Not posted' : 'Sending…'));
  if (!draft.why) return item;
  const actions = element('div', 'actions');
  actions.append(button('Try again', onRetry), button('Discard', onDiscard));
  item.append(element('p', 'state', draft.why), actions);
  return item;
}
