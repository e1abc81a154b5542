import { Live } from '../../proto/gen/warren/chat/v1/live.ts';
import type { Consumer, Delivery } from '../bus/bus.ts';
import type { MemberHost } from '../bus/hosted.ts';
import { keepConsuming } from '../bus/keep-consuming.ts';
import { chatLive } from '../bus/queues.ts';
import { type MemberId, memberOfBrokerAccount } from '../lib/identity/member-id.ts';
import { isRoomName } from './core/bounds.ts';
import { reading } from './octets.ts';
import { PresenceTable } from './presence.ts';

export interface LiveNeeds {
  readonly host: Pick<MemberHost, 'id' | 'bus' | 'clock'>;
  readonly chat: string;
  /** Somebody came, or went. */
  readonly onPresence: (member: MemberId) => void;
  readonly onTyping: (member: MemberId, room: string) => void;
}

const leaseMs = 30_000;
const renewMs = 10_000;
const mostMembers = 4_096;
const maxLive = 256;

/** Who is there and who types, told and heard: fresh or nothing. */
export class LiveChannel {
  readonly #needs: LiveNeeds;
  readonly #table = new PresenceTable(leaseMs, mostMembers);
  readonly #consumer: Consumer;
  readonly #timer: NodeJS.Timeout;
  readonly #off: () => void;

  constructor(needs: LiveNeeds) {
    const { bus, id, clock } = needs.host;
    this.#needs = needs;
    this.#table.heard(id, clock());
    this.#consumer = keepConsuming(bus, () =>
      bus.consume(chatLive, delivery => this.#heard(delivery), {
        noAck: true,
        bindings: () => [{ exchange: 'chat', key: `live.*.${needs.chat}` }],
      }),
    );
    this.#timer = setInterval(() => this.#renew(), renewMs);
    this.#off = bus.onState(state => {
      if (state === 'up') this.#renew();
    });
    if (bus.state === 'up') this.#renew();
  }

  /** This one included. */
  get members(): MemberId[] {
    return this.#table.members;
  }

  has(member: MemberId): boolean {
    return this.#table.has(member);
  }

  typing(room: string): void {
    this.#send({ $case: 'typing', value: { room } });
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#off();
    this.#send({ $case: 'absent', value: {} });
    await this.#consumer.close();
  }

  #renew(): void {
    const { id, clock } = this.#needs.host;
    this.#table.heard(id, clock());
    for (const gone of this.#table.expire(clock())) this.#needs.onPresence(gone);
    this.#send({ $case: 'present', value: {} });
  }

  #send(what: Live['what']): void {
    const { host, chat } = this.#needs;
    host.bus.send({
      type: 'warren.chat.v1.Live',
      key: `live.${host.id}.${chat}`,
      body: Live.encode({ what }).finish(),
    });
  }

  #heard({ type, userId, key, body }: Delivery): 'ack' {
    const { host, chat, onPresence, onTyping } = this.#needs;
    const member = userId === undefined ? undefined : memberOfBrokerAccount(userId);
    const isOwn = member === host.id;
    if (member === undefined || isOwn || key !== `live.${member}.${chat}` || type !== 'warren.chat.v1.Live')
      return 'ack';
    const what = body.length > maxLive ? undefined : reading(() => Live.decode(body).what);
    if (what?.$case === 'absent' && this.#table.left(member)) onPresence(member);
    if (what?.$case === 'present' && this.#table.heard(member, host.clock())) {
      onPresence(member);
      // It is new, and does not know of this one yet.
      this.#send({ $case: 'present', value: {} });
    }
    if (what?.$case === 'typing' && isRoomName(what.value.room)) onTyping(member, what.value.room);
    return 'ack';
  }
}
