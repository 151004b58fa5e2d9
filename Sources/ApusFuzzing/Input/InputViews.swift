// Inputs as the engine's views. `unsafe` lives here: an array's bytes are lent while a closure runs.

import ApusBase

func withView<R>(of bytes: [UInt8], _ body: (ByteView) throws(FuzzFinding) -> R) throws(FuzzFinding) -> R {
  let result = unsafe bytes.withUnsafeBytes { buffer -> Result<R, FuzzFinding> in
    do throws(FuzzFinding) {
      return .success(try body(unsafe ByteView(unchecked: buffer)))
    } catch {
      return .failure(error)
    }
  }
  return try result.get()
}

func withRange<R>(of values: [Value], _ body: (ValueRange) throws(FuzzFinding) -> R) throws(FuzzFinding) -> R {
  // One more than needed, so that no values have an address too.
  let padded = values + [.null]
  let result = unsafe padded.withUnsafeBufferPointer { buffer -> Result<R, FuzzFinding> in
    guard let base = buffer.baseAddress else { return .failure(FuzzFinding("an array without an address")) }
    do throws(FuzzFinding) {
      return .success(try body(unsafe ValueRange(unchecked: base, count: values.count)))
    } catch {
      return .failure(error)
    }
  }
  return try result.get()
}

/// Two byte strings in one input: two bytes of length, the first, the second. Whatever the length says, something is there.
struct SplitInput {
  var first: [UInt8]
  var second: [UInt8]

  init(_ first: [UInt8], _ second: [UInt8]) {
    self.first = first
    self.second = second
  }

  init(_ input: [UInt8]) {
    let length = input.count < 2 ? 0 : min(Int(input[0]) << 8 | Int(input[1]), input.count - 2)
    first = Array(input.dropFirst(2).prefix(length))
    second = Array(input.dropFirst(2 + length))
  }

  var bytes: [UInt8] {
    let length = min(first.count, 65535)
    return [UInt8(length >> 8), UInt8(length & 0xff)] + first.prefix(length) + second
  }
}
