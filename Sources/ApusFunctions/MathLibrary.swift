// The C library's mathematics: the one file of the functions that imports it.

import Glibc

enum MathLibrary {
  static func acos(_ x: Double) -> Double { Glibc.acos(x) }
  static func acosh(_ x: Double) -> Double { Glibc.acosh(x) }
  static func asin(_ x: Double) -> Double { Glibc.asin(x) }
  static func asinh(_ x: Double) -> Double { Glibc.asinh(x) }
  static func atan(_ x: Double) -> Double { Glibc.atan(x) }
  static func atan2(_ y: Double, _ x: Double) -> Double { Glibc.atan2(y, x) }
  static func atanh(_ x: Double) -> Double { Glibc.atanh(x) }
  static func cos(_ x: Double) -> Double { Glibc.cos(x) }
  static func cosh(_ x: Double) -> Double { Glibc.cosh(x) }
  static func exp(_ x: Double) -> Double { Glibc.exp(x) }
  static func log(_ x: Double) -> Double { Glibc.log(x) }
  static func log2(_ x: Double) -> Double { Glibc.log2(x) }
  static func log10(_ x: Double) -> Double { Glibc.log10(x) }
  static func pow(_ x: Double, _ y: Double) -> Double { Glibc.pow(x, y) }
  static func remainder(_ x: Double, _ y: Double) -> Double { Glibc.fmod(x, y) }
  static func sin(_ x: Double) -> Double { Glibc.sin(x) }
  static func sinh(_ x: Double) -> Double { Glibc.sinh(x) }
  static func tan(_ x: Double) -> Double { Glibc.tan(x) }
  static func tanh(_ x: Double) -> Double { Glibc.tanh(x) }
}
