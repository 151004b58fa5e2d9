// From what a campaign left to regressions: each input is run, sorted by what it fails with (the finding's kind, or the top of the
// stack of a trap), shrunk, and the smallest of each kind is kept under a name made of its kind.

import ApusBase
import ApusFuzzing
import ApusHarness
import Glibc

enum Triage {
  private struct Failure {
    var signature: String
    var isTrap: Bool
    var text: String
  }

  /// - Returns: false where an input fails no more, or something cannot be written.
  static func run(_ options: FuzzCommand.Options) -> Bool {
    guard let name = options.rest.first, options.rest.count > 1 else { FuzzCommand.stop(FuzzCommand.usage) }
    _ = FuzzCommand.target(name)
    var groups: [String: (failure: Failure, smallest: [UInt8], count: Int)] = [:]
    var isGood = true
    for file in options.rest.dropFirst().flatMap(Folders.files) {
      guard let bytes = Console.contents(of: file) else { FuzzCommand.stop("cannot read \(file)") }
      guard let failure = failure(name, file, options) else {
        Console.line("\(file): does not fail")
        isGood = false
        continue
      }
      var group = groups[failure.signature] ?? (failure, bytes, 0)
      group.count += 1
      if bytes.count < group.smallest.count { group.smallest = bytes }
      groups[failure.signature] = group
    }
    let folder = "\(options.into)/\(name)"
    Folders.make(folder)
    for (signature, group) in groups.sorted(by: { $0.key < $1.key }) {
      let bytes = shrink(name, group.smallest, group.failure, options)
      let path = "\(folder)/\(fileName(signature))"
      if !Console.put(bytes, to: path) { FuzzCommand.stop("cannot write \(path)") }
      let sizes = "\(group.count) inputs; \(bytes.count) of \(group.smallest.count) bytes left"
      Console.line("\(signature)\n  \(sizes): \(path)\n  \(group.failure.text)")
    }
    return isGood
  }

  /// A few words of the signature, and a hash of it.
  private static func fileName(_ signature: String) -> String {
    let words = signature.lowercased().split { !($0.isLetter || $0.isNumber) || !$0.isASCII }.prefix(8).joined(
      separator: "-")
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in signature.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return "\(words.prefix(48))-\(String(hash & 0xffff_ffff, radix: 16))"
  }

  // MARK: - What an input fails with

  private static func failure(_ target: String, _ file: String, _ options: FuzzCommand.Options) -> Failure? {
    let (_, findings, result) = Replay.runChild(target, [file], options)
    if let finding = findings.first {
      let text = String(finding.dropFirst(file.count + 2))
      return Failure(signature: String(text.prefix { $0 != ":" }), isTrap: false, text: text)
    }
    if result.status == 0 { return nil }
    if result.status == 124 { return Failure(signature: "hang", isTrap: true, text: "hangs") }
    let frames = stack(target, file, options)
    let top = frames.prefix(4).joined(separator: " < ")
    return Failure(
      signature: top.isEmpty ? Replay.ending(result.status) : top, isTrap: true, text: Replay.ending(result.status))
  }

  /// The functions on the stack of a trap, from the top, without those of the runtime. The backtracer of Swift's runtime says it.
  private static func stack(_ target: String, _ file: String, _ options: FuzzCommand.Options) -> [String] {
    ProcessEnvironment.set(
      "SWIFT_BACKTRACE",
      "enable=yes,color=no,interactive=no,output-to=stdout,threads=crashed,registers=none,images=none")
    defer { ProcessEnvironment.set("SWIFT_BACKTRACE", "enable=no") }
    let output = Replay.runChild(target, [file], options).result.output
    var frames: [String] = []
    for line in output.split(separator: "\n") {
      // "3 [ra] 0x0000 Name.of(function:) + 12 in program at /path:12:3"
      let words = line.split(separator: " ")
      guard words.count > 2, Int(words[0]) != nil, let place = words.firstIndex(where: { $0.hasPrefix("0x") }) else {
        continue
      }
      let name = words[(place + 1)...].prefix { $0 != "+" && $0 != "in" && $0 != "at" }.joined(separator: " ")
      let isRuntime = [
        "_assertionFailure", "closure", "Swift runtime failure", "_fatalError", "specialized _assertion",
      ].contains {
        name.hasPrefix($0)
      }
      if !name.isEmpty, !isRuntime { frames.append(String(name.prefix { $0 != "(" })) }
    }
    return frames
  }

  // MARK: - Shrinking

  private static let trialCountMax = 400
  /// Shrinking ends then with what it has: some inputs take seconds to fail.
  private static let shrinkSeconds: UInt64 = 60

  /// Takes away what the failure does not need: ever smaller pieces, then bytes become zero. What traps is tried in children.
  private static func shrink(
    _ target: String, _ bytes: [UInt8], _ failure: Failure, _ options: FuzzCommand.Options
  ) -> [UInt8] {
    let input = "/tmp/apus-fuzz-triage-\(getpid())"
    defer { Console.remove(input) }
    if !failure.isTrap {
      guard Console.put(bytes, to: input) else { return bytes }
      var arguments = ["triage", "--child", "--target", target, "--deadline", "300"]
      arguments += [failure.signature, input]
      let result = ChildProcess.again(arguments)?.wait()
      return result?.status == 0 ? Console.contents(of: input) ?? bytes : bytes
    }
    var trials = 0
    let end = Console.nanoseconds() + shrinkSeconds * 1_000_000_000
    let small = shrink(bytes) { candidate in
      trials += 1
      guard trials <= trialCountMax, Console.nanoseconds() < end, Console.put(candidate, to: input) else { return false }
      let (_, findings, result) = Replay.runChild(target, [input], options)
      return findings.isEmpty && result.status != 0 && (result.status == 124) == (failure.signature == "hang")
    }
    // Another trap may have taken the place of this one.
    guard Console.put(small, to: input), Self.failure(target, input, options)?.signature == failure.signature else {
      return bytes
    }
    return small
  }

  /// In the child: the file becomes the smallest input that fails with the same kind.
  static func shrinkInput(_ options: FuzzCommand.Options) {
    signal(SIGALRM) { _ in _exit(124) }
    alarm(options.deadline)
    guard options.rest.count == 2, let bytes = Console.contents(of: options.rest[1]),
      let target = try? FuzzCommand.target(options.target).init()
    else { FuzzCommand.stop("a child without an input") }
    let end = Console.nanoseconds() + shrinkSeconds * 1_000_000_000
    let small = shrink(bytes) { candidate in
      if Console.nanoseconds() >= end { return false }
      do throws(FuzzFinding) {
        try target.check(candidate)
        return false
      } catch {
        return error.kind == options.rest[0]
      }
    }
    if !Console.put(small, to: options.rest[1]) { FuzzCommand.stop("cannot write \(options.rest[1])") }
  }

  static func shrink(_ bytes: [UInt8], _ fails: ([UInt8]) -> Bool) -> [UInt8] {
    var kept = bytes
    var size = max(1, kept.count / 2)
    while true {
      var start = 0, hasShrunk = false
      while start < kept.count {
        var fewer = kept
        fewer.removeSubrange(start..<min(start + size, kept.count))
        if fails(fewer) {
          (kept, hasShrunk) = (fewer, true)
        } else {
          start += size
        }
      }
      if size == 1, !hasShrunk || kept.count > 512 { break }
      if !hasShrunk || size > kept.count { size = max(1, size / 2) }
    }
    // Long inputs keep their length: a page cannot lose a byte, but may become simpler.
    size = max(1, min(256, kept.count / 4))
    while true {
      for start in stride(from: 0, to: kept.count, by: size)
      where kept[start..<min(start + size, kept.count)].contains(where: { $0 != 0 }) {
        var plainer = kept
        for place in start..<min(start + size, kept.count) { plainer[place] = 0 }
        if fails(plainer) { kept = plainer }
      }
      if size <= 4 || kept.count > 1 << 14 && size <= 64 { break }
      size /= 4
    }
    return kept
  }
}
