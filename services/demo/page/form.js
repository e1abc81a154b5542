import { byId } from './dom.js';
import { post } from './messages.js';

const form = byId('form');
const author = byId('author');
const text = byId('text');
const textError = byId('text-error');
const nameKey = 'warren-demo-name';

function showCount() {
  byId('count').textContent = `${text.value.length} of ${text.maxLength}`;
  if (text.value.trim()) showError('');
}

function showError(words) {
  textError.textContent = words;
  if (words) text.setAttribute('aria-invalid', 'true');
  else text.removeAttribute('aria-invalid');
}

// With scripts the page says what is missing in its own words.
form.noValidate = true;
form.addEventListener('submit', event => {
  event.preventDefault();
  text.focus();
  if (!text.value.trim()) return showError('Write a message first.');
  post(author.value.trim(), text.value.trim());
  text.value = '';
  showCount();
  // A browser may refuse storage; then the name is typed again next time.
  try {
    localStorage.setItem(nameKey, author.value.trim());
  } catch {}
});
text.addEventListener('input', showCount);
text.addEventListener('keydown', event => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
try {
  author.value ||= localStorage.getItem(nameKey) ?? '';
} catch {}
showCount();
