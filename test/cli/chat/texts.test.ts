import { describe, expect, test } from 'vitest';
import { DirectState } from '../../../proto/gen/warren/chat/v1/direct.ts';
import { withOwnFlags } from '../../../services/cli/chat/origin-switches.ts';
import {
  formatConversation,
  formatDirect,
  formatEvent,
  formatMessage,
  formatRoom,
} from '../../../services/cli/chat/texts.ts';

const ann = { memberId: 'a'.repeat(64), account: 'ann', isPresent: true };
const stranger = { memberId: 'b'.repeat(64), account: '', isPresent: false };
const message = { seq: 1, room: 'den', sender: ann, text: 'hello', atMs: 0, mentions: [], file: undefined };

describe('what is shown', () => {
  test('is a line each, with who said it and where', () => {
    expect(formatMessage(message)).toMatch(/^\d\d:\d\d #den ann: hello\n$/);
    expect(formatMessage({ ...message, sender: stranger })).toContain('#den bbbbbbbbbbbb: ');
    const file = { fileId: 'c'.repeat(64), name: 'a.txt', size: 3 };
    expect(formatMessage({ ...message, file })).toContain('hello [file a.txt, warren files get cccccccccccc]');
    expect(formatRoom({ name: 'den', topic: 'quiet', owner: ann, members: [ann], muted: [], isJoined: true })).toBe(
      '* #den  1 member  quiet\n',
    );
  });

  test('does nothing to the terminal, whatever somebody wrote', () => {
    const evil = '\u001b[2J\r\nann: forged\u202e';
    for (const line of [
      formatMessage({ ...message, text: evil }),
      formatMessage({ ...message, file: { fileId: 'c'.repeat(64), name: evil, size: 1 } }),
      formatDirect({ ...direct, body: evil }),
      formatRoom({ name: 'den', topic: evil, owner: ann, members: [], muted: [], isJoined: false }),
      formatEvent({ event: { $case: 'outcome', value: { item: 1, refusal: evil, seq: 0 } } }) ?? '',
      formatEvent({ event: { $case: 'presence', value: { member: { ...ann, account: evil } } } }) ?? '',
    ]) {
      expect(line.slice(0, -1)).not.toMatch(/[\p{Cc}\u202e]/u);
      expect(line.endsWith('\n')).toBe(true);
    }
  });

  const direct = {
    ...{ id: '0'.repeat(32), with: 'bob', isOwn: true, sender: ann.memberId, body: 'psst', atMs: 0 },
    ...{ state: DirectState.DIRECT_STATE_DELIVERED, number: 1 },
  };

  test('of private messages is how far they are', () => {
    expect(formatDirect(direct)).toMatch(/ to bob \(delivered\): psst\n$/);
    const came = { ...direct, isOwn: false, state: DirectState.DIRECT_STATE_UNREAD };
    expect(formatDirect(came)).toMatch(/ from bob \(new\): psst\n$/);
    expect(formatConversation({ with: 'bob', unread: 2, last: came, members: [] })).toBe(
      'bob (machines not known, 2 new): psst\n',
    );
  });

  test('of a change of server is who serves now', () => {
    const value = { epoch: 7, server: ann, isSelf: false };
    expect(formatEvent({ event: { $case: 'serving', value } })).toBe('* ann serves the chat now (epoch 7)\n');
    expect(formatEvent({ event: { $case: 'outcome', value: { item: 1, refusal: '', seq: 3 } } })).toBeUndefined();
  });
});

test('the origin’s switches are flags', () => {
  expect(withOwnFlags(['-s', '-u', 'other.net', '--min_n=3', '--dns_ip', 'localhost', '--data', '-n'])).toEqual([
    ...['--found', '--server-uri', 'other.net', '--min-n=3', '--chat-dns-ip', 'localhost', '--data', '--min-n'],
  ]);
});
