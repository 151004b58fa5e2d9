import ApusBase
import Testing

@Suite("Varints")
struct VarintTests {
  @Test("what is written is read back, in as many bytes as announced", arguments: UInt64(1)...8)
  func roundTrip(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    var buffer = ByteBuffer(capacity: 16)
    buffer.resize(to: 9)
    for step in 0..<2_000 {
      let value = random.next() >> UInt64(random.below(64))
      let end = buffer.mutableBytes.setVarint(value, at: 0)
      #expect(end == Varint.byteCount(value), "seed \(seed), step \(step)")
      let read = try #require(buffer.bytes.varint(at: 0))
      #expect(read.value == value && read.end == end, "seed \(seed), step \(step)")
      #expect(buffer.bytes.slice(0, end - 1).varint(at: 0) == nil, "a cut varint is refused")
    }
  }
}
