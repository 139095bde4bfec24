import { expect } from 'chai'
import { readBlockList } from '../../lib/policy/block-list.js'

describe('block list', () => {
  it('one name per line; comments, empty lines, any line ends, repetitions and other spellings', () => {
    const text =
      '\uFEFF# head\r\nSpam.example\r\n\r\n  abuse.example # why\n*.bad.example\rspam.example.\nxn--bcher-kva.example'
    expect(readBlockList(text)).to.deep.equal({
      ok: true,
      patterns: ['spam.example', 'abuse.example', '*.bad.example', 'bücher.example'],
    })
    for (const empty of ['', '\n\n', '# nothing'])
      expect(readBlockList(empty)).to.deep.equal({ ok: true, patterns: [] })
  })

  it('every wrong line is told with its number, a long one cut, and * is no name', () => {
    const text = `good.example\nwrong domain\n*\n\n# x\nolga@a.example\n${'x'.repeat(500)}`
    const list = readBlockList(text)
    expect(list.ok).to.equal(false)
    if (list.ok) return
    expect(list.problems.map(({ line }) => line)).to.deep.equal([2, 3, 6, 7])
    expect(list.problems[0]?.problem).to.equal('not a domain name: "wrong domain"')
    expect(list.problems[1]?.problem).to.equal('* would block everybody')
    expect(list.problems[3]?.problem.length).to.be.lessThan(100)
  })
})
