/** The origin's switches of `main.py` as this command's flags: `-s`, `-u NAME`, `-n N`, and its long names with an underscore. */
const own: Readonly<Record<string, string>> = {
  '-s': '--found',
  '-u': '--server-uri',
  '-n': '--min-n',
  '--server_uri': '--server-uri',
  '--min_n': '--min-n',
  '--dns_ip': '--chat-dns-ip',
  '--dns_port': '--chat-dns-port',
};

export function withOwnFlags(argv: readonly string[]): string[] {
  return argv.map(argument => {
    const [, flag = argument, rest = ''] = /^(--?[\w-]+)(=.*)?$/s.exec(argument) ?? [];
    return (own[flag] ?? flag) + rest;
  });
}
