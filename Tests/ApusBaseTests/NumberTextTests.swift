import ApusBase
import Testing

/// Runs `body` with the value that a recorded field stands for.
func withRecorded<R>(_ field: Substring, _ body: (Value) -> R) -> R {
  var buffer = ByteBuffer()
  let rest = field.dropFirst()
  switch field.first {
  case "i": return body(.integer(Int64(rest)!))
  case "r": return body(.real(Double(bitPattern: UInt64(rest, radix: 16)!)))
  case "t", "b":
    for byte in unescaped(rest) { buffer.append(byte) }
    return body(field.first == "t" ? .text(buffer.bytes) : .blob(buffer.bytes))
  default: return body(.null)
  }
}

/// The bytes of a recorded text, in which %xx stands for a byte.
func unescaped(_ text: Substring) -> [UInt8] {
  var bytes: [UInt8] = []
  var rest = Array(text.utf8)[...]
  while let byte = rest.popFirst() {
    if byte == 0x25 {
      bytes.append(UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)!)
      rest = rest.dropFirst(2)
    } else {
      bytes.append(byte)
    }
  }
  return bytes
}

/// A value in the notation of the recorded tables.
func recorded(_ value: Value) -> String {
  switch value.kind {
  case .null: return "n"
  case .integer: return "i\(value.integerValue)"
  case .real:
    let digits = String(value.realValue.bitPattern, radix: 16)
    return "r" + String(repeating: "0", count: 16 - digits.count) + digits
  case .text: return "t"
  case .blob: return "b"
  }
}

@Suite("Numbers and text")
struct NumberTextTests {
  @Test("reals print as SQLite 3.54.1 prints them, and are read back exactly")
  func realsPrint() throws {
    var buffer = ByteBuffer()
    for line in try RecordedNumbers.lines("reals") {
      let fields = line.split(separator: " ")
      let value = Double(bitPattern: UInt64(fields[0], radix: 16)!)
      buffer.removeAll()
      buffer.append(real: value)
      #expect(buffer.bytes.string == fields[1], "bits \(fields[0])")
      if value.isFinite {
        #expect(NumberScan(buffer.bytes).real == value, "\(fields[1])")
      }
    }
  }

  @Test("every conversion of text agrees with SQLite 3.54.1")
  func conversions() throws {
    var scratch = ByteBuffer()
    for line in try RecordedNumbers.lines("conversions") {
      let fields = line.split(separator: "|", omittingEmptySubsequences: false)
      withRecorded("t" + fields[0]) { text in
        #expect(recorded(text.cast(to: .integer, scratch: &scratch)) == fields[1], "CAST AS INTEGER: \(line)")
        #expect(recorded(text.cast(to: .real, scratch: &scratch)) == fields[2], "CAST AS REAL: \(line)")
        #expect(recorded(text.cast(to: .numeric, scratch: &scratch)) == fields[3], "CAST AS NUMERIC: \(line)")
        #expect(recorded(Value.add(text, .integer(0))) == fields[4], "+ 0: \(line)")
        #expect(recorded(text.applying(.numeric, scratch: &scratch)) == fields[5], "NUMERIC column: \(line)")
        #expect(recorded(text.applying(.real, scratch: &scratch)) == fields[6], "REAL column: \(line)")
        #expect(recorded(Value.logicalNot(text)) == fields[7], "NOT: \(line)")
      }
    }
  }

  @Test("the operators agree with SQLite 3.54.1")
  func operators() throws {
    for line in try RecordedNumbers.lines("arithmetic") {
      let fields = line.split(separator: "|", omittingEmptySubsequences: false)
      withRecorded(fields[0]) { left in
        withRecorded(fields[1]) { right in
          let results = [
            Value.add(left, right), .subtract(left, right), .multiply(left, right), .divide(left, right),
            .remainder(left, right), .bitAnd(left, right), .bitOr(left, right), .shiftLeft(left, right),
            .shiftRight(left, right),
          ]
          for (index, result) in results.enumerated() {
            #expect(recorded(result) == fields[index + 2], "operator \(index) of \(line)")
          }
        }
      }
    }
  }

  @Test("what is printed is read back: integers, and random doubles of all sizes", arguments: UInt64(1)...4)
  func roundTrip(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var buffer = ByteBuffer()
    for step in 0..<5_000 {
      let bits = random.next() >> UInt64(random.below(64))
      buffer.removeAll()
      buffer.append(integer: Int64(bitPattern: bits))
      let scan = IntegerScan(buffer.bytes)
      #expect(scan.fits && scan.isWhole && scan.value == Int64(bitPattern: bits), "seed \(seed), step \(step)")
      let real = Double(bitPattern: random.next())
      guard real.isFinite else { continue }
      buffer.removeAll()
      buffer.append(real: real)
      #expect(NumberScan(buffer.bytes).real == real, "seed \(seed), step \(step)")
    }
  }

  @Test("affinities of declared types", arguments: [
    ("INT", Affinity.integer), ("charint", .integer), ("VARCHAR(10)", .text), ("CLOB", .text), ("nativetext", .text),
    ("BLOB", .blob), ("", .blob), ("REAL", .real), ("DOUBLE PRECISION", .real), ("FLOATING", .real),
    ("FLOATING POINT", .integer), ("DECIMAL(10,5)", .numeric), ("BOOLEAN", .numeric), ("BLOB REAL", .blob),
    ("REAL BLOB", .blob), ("BLOBCHAR", .text), ("STRING", .numeric),
  ])
  func declaredTypes(name: String, affinity: Affinity) {
    var buffer = ByteBuffer()
    buffer.append(contentsOf: name)
    #expect(Affinity(declaredType: buffer.bytes) == affinity)
  }
}
