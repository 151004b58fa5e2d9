// XXH64: a fast 64-bit hash for checksums, not against an adversary. Source: Y. Collet,
// https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
//
// `unsafe` lives here: the loop reads words behind one bounds check.

public enum XXHash64 {
  private static let prime1: UInt64 = 0x9e37_79b1_85eb_ca87, prime2: UInt64 = 0xc2b2_ae3d_27d4_eb4f
  private static let prime3: UInt64 = 0x1656_67b1_9e37_79f9, prime4: UInt64 = 0x85eb_ca77_c2b2_ae63
  private static let prime5: UInt64 = 0x27d4_eb2f_1656_67c5

  @inline(__always)
  private static func rotate(_ value: UInt64, _ distance: UInt64) -> UInt64 {
    value &<< distance | value &>> (64 &- distance)
  }

  @inline(__always)
  private static func round(_ lane: UInt64, _ word: UInt64) -> UInt64 {
    rotate(lane &+ word &* prime2, 31) &* prime1
  }

  @inline(__always)
  private static func merge(_ hash: UInt64, _ lane: UInt64) -> UInt64 {
    (hash ^ round(0, lane)) &* prime1 &+ prime4
  }

  public static func hash(_ bytes: ByteView, seed: UInt64 = 0) -> UInt64 {
    let base = unsafe bytes.unsafeBase
    let count = bytes.count
    @inline(__always) func word(_ offset: Int) -> UInt64 {
      unsafe UInt64(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    var hash: UInt64
    var offset = 0
    if count >= 32 {
      var a = seed &+ prime1 &+ prime2, b = seed &+ prime2, c = seed, d = seed &- prime1
      let last = count &- 32
      while offset <= last {
        a = round(a, word(offset))
        b = round(b, word(offset &+ 8))
        c = round(c, word(offset &+ 16))
        d = round(d, word(offset &+ 24))
        offset &+= 32
      }
      hash = rotate(a, 1) &+ rotate(b, 7) &+ rotate(c, 12) &+ rotate(d, 18)
      hash = merge(merge(merge(merge(hash, a), b), c), d)
    } else {
      hash = seed &+ prime5
    }
    hash &+= UInt64(count)
    while offset &+ 8 <= count {
      hash = rotate(hash ^ round(0, word(offset)), 27) &* prime1 &+ prime4
      offset &+= 8
    }
    if offset &+ 4 <= count {
      hash = rotate(hash ^ (UInt64(bytes.littleEndianUInt32(at: offset)) &* prime1), 23) &* prime2 &+ prime3
      offset &+= 4
    }
    while offset < count {
      hash = rotate(hash ^ (UInt64(bytes[offset]) &* prime5), 11) &* prime1
      offset &+= 1
    }
    hash ^= hash &>> 33
    hash &*= prime2
    hash ^= hash &>> 29
    hash &*= prime3
    return hash ^ hash &>> 32
  }
}
