import { SessionServiceDefinition } from '../../../proto/gen/warren/member/v1/session.ts';
import { PeerServiceDefinition } from '../../../proto/gen/warren/peer/v1/peer.ts';
import { Failure, messageOf } from '../../lib/failure.ts';
import { visible } from '../visible.ts';
import type { Asked } from './asked.ts';
import { pull } from './get.ts';
import { LineReader } from './line-reader.ts';
import { listShared } from './list.ts';
import { asFilesFailure } from './member-call.ts';
import { offer } from './put.ts';

const entries = ['Exit', 'Download', 'Upload', 'List index', 'Logout'] as const;

export async function menu(asked: Asked): Promise<void> {
  const { account } = await asked.daemon.client(SessionServiceDefinition).logIn({ username: '', password: '' });
  asked.io.out(`logged in as ${visible(account)}\n`);
  const interrupts = new Interrupts(asked.stop);
  const lines = new LineReader(() => interrupts.interrupt());
  try {
    while (await choose(asked, lines, interrupts)) {
      // Until Exit or Logout.
    }
  } finally {
    lines.close();
  }
}

/** An interrupt ends what runs, and the menu only where nothing does. */
class Interrupts {
  readonly #menu = new AbortController();
  #running: AbortController | undefined;
  readonly signal: AbortSignal;

  constructor(stop: AbortSignal) {
    this.signal = AbortSignal.any([stop, this.#menu.signal]);
  }

  interrupt(): void {
    (this.#running ?? this.#menu).abort();
  }

  async during(act: (signal: AbortSignal) => Promise<void>): Promise<void> {
    this.#running = new AbortController();
    try {
      await act(AbortSignal.any([this.signal, this.#running.signal]));
    } finally {
      this.#running = undefined;
    }
  }
}

/** Shows the menu and does what is chosen. @returns whether to go on */
async function choose(asked: Asked, lines: LineReader, interrupts: Interrupts): Promise<boolean> {
  const { io, daemon, dataDir } = asked;
  io.out(`\n${entries.map((entry, at) => `${at + 1}. ${entry}\n`).join('')}`);
  const ask = (question: string): Promise<string | undefined> => lines.ask(question, interrupts.signal);
  const answer = await ask('> ');
  if (answer === undefined) return false;
  try {
    switch (answer.toLowerCase()) {
      case '':
        return true;
      case '1':
      case 'exit':
        return false;
      case '2':
      case 'download': {
        const what = await ask('File to download (name or id): ');
        if (what) await interrupts.during(stop => pull({ ...asked, stop }, { what, to: '', from: [] }));
        return true;
      }
      case '3':
      case 'upload': {
        const file = await ask('File to upload: ');
        if (file) await interrupts.during(stop => offer({ ...asked, stop }, file, []));
        return true;
      }
      case '4':
      case 'list index':
        await listShared(daemon.client(PeerServiceDefinition), io, { path: '', isJson: false });
        return true;
      case '5':
      case 'logout': {
        const { isTold } = await daemon.client(SessionServiceDefinition).logOut({});
        io.out(
          isTold ? 'logged out\n' : 'logged out; the directory does not answer, and forgets this peer by itself\n',
        );
        return false;
      }
      default:
        io.out(`${visible(answer)} is none of them: a number from 1 to ${entries.length}\n`);
        return true;
    }
  } catch (thrown) {
    const error = asFilesFailure(thrown, dataDir);
    if (!(error instanceof Failure) || error.code === 'FILES_MEMBER_GONE') throw error;
    io.err(`${messageOf(error)}\n`);
    return !asked.stop.aborted;
  }
}
