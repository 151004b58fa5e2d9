// libFuzzer's entry points around one target, which the environment names: APUS_FUZZ_TARGET=database ApusFuzzer corpus
// A finding is printed and traps, so that libFuzzer keeps the input.
// `unsafe` lives here: libFuzzer hands out raw memory, and calls from one thread.

import ApusFuzzing
import Glibc

private struct Harness {
  let type: any FuzzTarget.Type
  let target: any FuzzTarget

  static func make() -> Harness {
    guard let name = unsafe getenv("APUS_FUZZ_TARGET").map({ unsafe String(cString: $0) }),
      let type = FuzzTargets.named(name)
    else {
      stop("APUS_FUZZ_TARGET names no target; there are \(FuzzTargets.all.map { $0.name }.joined(separator: ", "))")
    }
    do {
      return Harness(type: type, target: try type.init())
    } catch {
      stop("\(name): \(error)")
    }
  }

  static func stop(_ message: String) -> Never {
    report(message)
    exit(2)
  }

  static func report(_ message: String) {
    let bytes = Array((message + "\n").utf8)
    unsafe bytes.withUnsafeBytes { _ = unsafe write(2, $0.baseAddress, $0.count) }
  }
}

nonisolated(unsafe) private let harness = Harness.make()

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ data: UnsafePointer<UInt8>?, _ byteCount: Int) -> CInt {
  let byteCountMax = unsafe harness.type.byteCountMax
  if byteCount > byteCountMax { return -1 }
  let input = unsafe Array(UnsafeBufferPointer(start: data, count: byteCount))
  do throws(FuzzFinding) {
    try unsafe harness.target.check(input)
  } catch {
    Harness.report("FINDING \(error)")
    abort()
  }
  return 0
}

@_silgen_name("LLVMFuzzerMutate")
private func mutateBytes(_ data: UnsafeMutablePointer<UInt8>?, _ byteCount: Int, _ byteCountMax: Int) -> Int

@_cdecl("LLVMFuzzerCustomMutator")
public func mutate(_ data: UnsafeMutablePointer<UInt8>?, _ byteCount: Int, _ byteCountMax: Int, _ seed: CUnsignedInt)
  -> Int
{
  let input = unsafe Array(UnsafeBufferPointer(start: data, count: byteCount))
  let changed = unsafe Mutation.step(harness.target, input, seed: UInt64(seed)) { _ in
    let count = unsafe mutateBytes(data, byteCount, byteCountMax)
    return unsafe Array(UnsafeBufferPointer(start: data, count: count))
  }
  let count = min(changed.count, byteCountMax)
  guard let data = unsafe data else { return 0 }
  unsafe changed.withUnsafeBufferPointer { bytes in
    if let base = bytes.baseAddress { unsafe data.update(from: base, count: count) }
  }
  return count
}
