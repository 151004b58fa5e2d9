// What `.timer on` prints: elapsed and processor time of one statement, in seconds.
// `unsafe` lives here: clock_gettime(2) and getrusage(2).

import Glibc

struct StatementClock {
  private let start = StatementClock.now()
  private let usage = StatementClock.usage()

  func report() -> String {
    let usageNow = StatementClock.usage()
    let real = StatementClock.text(StatementClock.now() - start, decimals: 3)
    let user = StatementClock.text(usageNow.user - usage.user, decimals: 6)
    let system = StatementClock.text(usageNow.system - usage.system, decimals: 6)
    return "Run Time: real \(real) user \(user) sys \(system)\n"
  }

  private static func now() -> Int64 {
    var moment = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &moment)
    return Int64(moment.tv_sec) * 1_000_000 + Int64(moment.tv_nsec) / 1000
  }

  private static func usage() -> (user: Int64, system: Int64) {
    var usage = rusage()
    unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    func microseconds(_ time: timeval) -> Int64 { Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_usec) }
    return (microseconds(usage.ru_utime), microseconds(usage.ru_stime))
  }

  private static func text(_ microseconds: Int64, decimals: Int) -> String {
    let fraction = String(microseconds % 1_000_000 + 1_000_000).dropFirst().prefix(decimals)
    return "\(microseconds / 1_000_000).\(fraction)"
  }
}
