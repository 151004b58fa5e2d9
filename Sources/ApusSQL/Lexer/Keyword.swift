// Keywords by their folded bytes, packed eight to a word, first byte lowest: a switch that the compiler turns into a
// search tree, without tables or hashing. Generated once from SQLite 3.54's list of keywords.

enum Keyword {
  /// The longest: CURRENT_TIMESTAMP.
  static let byteCountMax = 17

  /// The kind of the word of at most eight bytes packed into `word`.
  static func short(_ word: UInt64) -> TokenKind {
    switch word {
    case 0x6669: .`if`
    case 0x666f: .of
    case 0x6e69: .`in`
    case 0x6e6f: .on
    case 0x6f64: .`do`
    case 0x6f6e: .no
    case 0x6f74: .to
    case 0x726f: .or
    case 0x7361: .`as`
    case 0x7369: .`is`
    case 0x7962: .by
    case 0x637361: .asc
    case 0x646461: .add
    case 0x646e61: .and
    case 0x646e65: .end
    case 0x6c6c61: .all
    case 0x726f66: .`for`
    case 0x746573: .set
    case 0x746f6e: .not
    case 0x776f72: .row
    case 0x79656b: .key
    case 0x626f6c67: .glob
    case 0x63736564: .desc
    case 0x656b696c: .like
    case 0x65736163: .`case`
    case 0x65736c65: .`else`
    case 0x68636165: .each
    case 0x68746977: .with
    case 0x6c696166: .fail
    case 0x6c6c7566: .full
    case 0x6c6c756e: .null
    case 0x6d6f7266: .from
    case 0x6e616c70: .plan
    case 0x6e656874: .then
    case 0x6e656877: .when
    case 0x6e696f6a: .join
    case 0x6f746e69: .into
    case 0x706d6574: .temp
    case 0x706f7264: .drop
    case 0x7265766f: .over
    case 0x73656974: .ties
    case 0x73776f72: .rows
    case 0x7466656c: .left
    case 0x74736163: .cast
    case 0x7473616c: .last
    case 0x77656976: .view
    case 0x65676e6172: .range
    case 0x656c626174: .table
    case 0x6572656877: .`where`
    case 0x6573696172: .raise
    case 0x676e697375: .using
    case 0x686374616d: .match
    case 0x6b63656863: .check
    case 0x6e69676562: .begin
    case 0x6e6f696e75: .union
    case 0x70756f7267: .group
    case 0x726564726f: .order
    case 0x72656e6e69: .inner
    case 0x7265746661: .after
    case 0x7265746c61: .alter
    case 0x726574756f: .outer
    case 0x736c6c756e: .nulls
    case 0x73736f7263: .cross
    case 0x7468676972: .right
    case 0x74696d696c: .limit
    case 0x74726f6261: .abort
    case 0x7473726966: .first
    case 0x7865646e69: .index
    case 0x7972657571: .query
    case 0x616d67617270: .pragma
    case 0x656d616e6572: .rename
    case 0x657061637365: .escape
    case 0x65726f666562: .before
    case 0x65726f6e6769: .ignore
    case 0x657461647075: .update
    case 0x657461657263: .create
    case 0x6574656c6564: .delete
    case 0x657571696e75: .unique
    case 0x676e69766168: .having
    case 0x686361746564: .detach
    case 0x686361747461: .attach
    case 0x6c6c756e7369: .isnull
    case 0x6d7575636176: .vacuum
    case 0x6e6d756c6f63: .column
    case 0x6e6f69746361: .action
    case 0x707865676572: .regexp
    case 0x7265746c6966: .filter
    case 0x7365756c6176: .values
    case 0x7370756f7267: .groups
    case 0x73726568746f: .others
    case 0x737473697865: .exists
    case 0x737961776c61: .always
    case 0x7463656c6573: .select
    case 0x74657366666f: .offset
    case 0x74696d6d6f63: .commit
    case 0x747065637865: .except
    case 0x747265736e69: .insert
    case 0x776f646e6977: .window
    case 0x64616574736e69: .instead
    case 0x64657865646e69: .indexed
    case 0x6563616c706572: .replace
    case 0x65646163736163: .cascade
    case 0x6564756c637865: .exclude
    case 0x657361656c6572: .release
    case 0x6574616c6c6f63: .collate
    case 0x657a796c616e61: .analyze
    case 0x676e6968746f6e: .nothing
    case 0x6c61727574616e: .natural
    case 0x6c617574726976: .virtual
    case 0x6c6c756e746f6e: .notnull
    case 0x6e656577746562: .between
    case 0x6e676965726f66: .foreign
    case 0x6e69616c707865: .explain
    case 0x72656767697274: .trigger
    case 0x746c7561666564: .`default`
    case 0x746e6572727563: .current
    case 0x74756f68746977: .without
    case 0x7865646e696572: .reindex
    case 0x7972616d697270: .primary
    case 0x6465727265666564: .deferred
    case 0x6573616261746164: .database
    case 0x6b6361626c6c6f72: .rollback
    case 0x7463696c666e6f63: .conflict
    case 0x7463697274736572: .restrict
    case 0x74636e6974736964: .distinct
    default: .identifier
    }
  }

  /// The kind of a longer word: its first eight bytes, the next eight, and whether it is `byteCount` bytes long.
  static func long(_ first: UInt64, _ second: UInt64, byteCount: Int) -> TokenKind {
    switch (first, second) {
    case (0x5f746e6572727563, 0x65746164): .currentDate
    case (0x5f746e6572727563, 0x656d6974): .currentTime
    case (0x5f746e6572727563, 0x6d617473656d6974): byteCount == 17 ? .currentTimestamp : .identifier
    case (0x6261727265666564, 0x656c): .deferrable
    case (0x6365737265746e69, 0x74): .intersect
    case (0x636e657265666572, 0x7365): .references
    case (0x65646e756f626e75, 0x64): .unbounded
    case (0x65746172656e6567, 0x64): .generated
    case (0x69617274736e6f63, 0x746e): .constraint
    case (0x6c6169726574616d, 0x64657a69): .materialized
    case (0x6c6c616974696e69, 0x79): .initially
    case (0x6e69646563657270, 0x67): .preceding
    case (0x6e696e7275746572, 0x67): .returning
    case (0x6e696f7065766173, 0x74): .savepoint
    case (0x6e69776f6c6c6f66, 0x67): .following
    case (0x6f69746974726170, 0x6e): .partition
    case (0x7261726f706d6574, 0x79): .temp
    case (0x72636e696f747561, 0x746e656d65): .autoincrement
    case (0x74616964656d6d69, 0x65): .immediate
    case (0x746361736e617274, 0x6e6f69): .transaction
    case (0x7669737275636572, 0x65): .recursive
    case (0x766973756c637865, 0x65): .exclusive
    default: .identifier
    }
  }
}
