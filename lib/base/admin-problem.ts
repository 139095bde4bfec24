/** Something that an admin can mend, told in words that say what and where; no stack trace helps. */
export class AdminProblem extends Error {
  override readonly name = 'AdminProblem'
}
