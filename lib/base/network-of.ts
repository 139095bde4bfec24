/** What counts as one place when strangers are counted: an IPv4 address, or the /64 of an IPv6 address. */
export function networkOf(address: string): string {
  if (address.startsWith('::ffff:') || !address.includes(':')) return address.replace(/^::ffff:/, '')
  const [head = '', tail = ''] = address.split('::')
  const groups = head === '' ? [] : head.split(':')
  const rest = tail === '' ? [] : tail.split(':')
  while (groups.length + rest.length < 8) groups.push('0')
  return [...groups, ...rest]
    .slice(0, 4)
    .map(group => group.replace(/^0+(?=.)/, ''))
    .join(':')
}
