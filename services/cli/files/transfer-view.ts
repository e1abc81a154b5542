import {
  ContentKind,
  type Found,
  type SharedFile,
  SourceState,
  type Transfer,
  TransferDirection,
  TransferPhase,
} from '../../../proto/gen/warren/peer/v1/peer.ts';

/** A transfer in words and plain numbers: what `--json` gives, and what is drawn. Texts as they came. */
export interface TransferView {
  readonly transferId: string;
  readonly direction: 'down' | 'up';
  readonly state: 'locating' | 'moving' | 'paused' | 'held' | 'done' | 'failed' | 'cancelled';
  readonly fileId: string;
  readonly path: string;
  readonly kind: 'file' | 'folder';
  /** Bytes. */
  readonly length: number;
  readonly verified: number;
  /** Bytes a second. */
  readonly rate: number;
  /** Milliseconds; undefined: not known. */
  readonly leftMs: number | undefined;
  readonly sources: readonly SourceView[];
  readonly reason: string;
  readonly detail: string;
}

export interface SourceView {
  readonly memberId: string;
  readonly name: string;
  readonly state: 'connecting' | 'moving' | 'idle' | 'waiting' | 'banned' | 'gone';
  readonly way: 'direct' | 'relayed';
  readonly bytes: number;
  readonly rate: number;
  readonly detail: string;
}

const states = {
  [TransferPhase.TRANSFER_PHASE_MOVING]: 'moving',
  [TransferPhase.TRANSFER_PHASE_PAUSED]: 'paused',
  [TransferPhase.TRANSFER_PHASE_HELD]: 'held',
  [TransferPhase.TRANSFER_PHASE_DONE]: 'done',
  [TransferPhase.TRANSFER_PHASE_FAILED]: 'failed',
  [TransferPhase.TRANSFER_PHASE_CANCELLED]: 'cancelled',
} as const satisfies Record<number, TransferView['state']>;

const sourceStates = {
  [SourceState.SOURCE_STATE_MOVING]: 'moving',
  [SourceState.SOURCE_STATE_IDLE]: 'idle',
  [SourceState.SOURCE_STATE_WAITING]: 'waiting',
  [SourceState.SOURCE_STATE_BANNED]: 'banned',
  [SourceState.SOURCE_STATE_GONE]: 'gone',
} as const satisfies Record<number, SourceView['state']>;

export function viewOf(transfer: Transfer): TransferView {
  const { transferId, direction, fileId, path, reason, detail } = transfer;
  const isMoving = transfer.state === TransferPhase.TRANSFER_PHASE_MOVING;
  const hasBegun = !isMoving || transfer.length > 0 || transfer.sources.length > 0;
  return {
    transferId,
    direction: direction === TransferDirection.TRANSFER_DIRECTION_UP ? 'up' : 'down',
    state: hasBegun ? ((states as Record<number, TransferView['state']>)[transfer.state] ?? 'locating') : 'locating',
    ...{ fileId, path, kind: kindOf(transfer.kind) },
    length: transfer.length,
    verified: transfer.verified,
    rate: transfer.rate,
    leftMs: transfer.leftMs === 0 ? undefined : transfer.leftMs,
    sources: transfer.sources.map(source => ({
      ...{ memberId: source.memberId, name: source.name },
      state: (sourceStates as Record<number, SourceView['state']>)[source.state] ?? 'connecting',
      way: source.isRelayed ? 'relayed' : 'direct',
      bytes: source.bytes,
      rate: source.rate,
      detail: source.detail,
    })),
    ...{ reason, detail },
  };
}

export function isOver({ state }: TransferView): boolean {
  return state === 'done' || state === 'failed' || state === 'cancelled';
}

export function foundView({ fileId, path, kind, length, holders }: Found) {
  return {
    fileId,
    path,
    kind: kind === ContentKind.CONTENT_KIND_UNSPECIFIED ? undefined : kindOf(kind),
    length,
    holders,
  };
}
export type FoundView = ReturnType<typeof foundView>;

export function sharedView({ path, fileId, length, modifiedMs, refused }: SharedFile) {
  return { path, fileId, length, modifiedMs, refused };
}
export type SharedView = ReturnType<typeof sharedView>;

function kindOf(kind: ContentKind): 'file' | 'folder' {
  return kind === ContentKind.CONTENT_KIND_FOLDER ? 'folder' : 'file';
}
