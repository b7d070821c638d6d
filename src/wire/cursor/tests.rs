//! What the strict primitives promise: one form per value, every length judged before it is believed.

use proptest::prelude::*;

use super::*;

fn varint(value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    encode_varint(value, &mut out);
    out
}

#[test]
fn a_varint_grows_by_a_byte_every_seven_bits() {
    for bits in 1..=64u32 {
        let (least, greatest) = (1u64 << (bits - 1), u64::MAX >> (64 - bits));
        let len = bits.div_ceil(7) as usize;
        for value in [least, greatest] {
            assert_eq!(varint(value).len(), len, "{value}");
            assert_eq!(decode_varint(&varint(value)), Ok(Some((value, len))));
        }
    }
}

#[test]
fn a_varint_in_a_longer_form_or_over_64_bits_is_refused() {
    assert_eq!(decode_varint(&[0x80, 0x00]), Err(WireError::VarintNotMinimal));
    assert_eq!(decode_varint(&[0x81, 0x80, 0x00]), Err(WireError::VarintNotMinimal));
    let mut bytes = [0x80; 10];
    bytes[9] = 0x02;
    assert_eq!(decode_varint(&bytes), Err(WireError::VarintNotMinimal));
    bytes[9] = 0x80;
    assert_eq!(decode_varint(&bytes), Err(WireError::VarintTooLong));
    bytes[9] = 0x00;
    assert_eq!(decode_varint(&bytes), Err(WireError::VarintNotMinimal));
    bytes[9] = 0x01;
    assert_eq!(decode_varint(&bytes), Ok(Some((1 << 63, 10))));
}

#[test]
fn a_varint_that_goes_on_is_waited_for_up_to_ten_bytes() {
    for n in 0..10 {
        assert_eq!(decode_varint(&[0xff; 10][..n]), Ok(None), "{n} bytes");
    }
    assert_eq!(Reader::new(&[0xff; 3]).var_u64(), Err(WireError::Underflow));
}

#[test]
fn a_length_is_judged_by_its_limit_before_what_is_there() {
    let huge = varint(u64::MAX);
    assert_eq!(Reader::new(&huge).bytes_var(10), Err(WireError::TooLarge { got: u64::MAX, max: 10 }));
    assert_eq!(Reader::new(&huge).str(10), Err(WireError::TooLarge { got: u64::MAX, max: 10 }));
    assert_eq!(Reader::new(&huge).count(10), Err(WireError::TooLarge { got: u64::MAX, max: 10 }));
    assert_eq!(Reader::new(&[5, 1, 2]).bytes_var(10), Err(WireError::Underflow));
    assert_eq!(Reader::new(&[5, 1, 2]).count(10), Err(WireError::Underflow));
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    assert_eq!(Reader::new(&[2, 0xff, 0xfe]).str(10), Err(WireError::Utf8));
    assert_eq!(Reader::new(&[2, 0xc3, 0xa9]).str(10), Ok("é"));
}

#[test]
fn what_remains_at_the_end_is_counted_in_the_error() {
    let mut r = Reader::new(&[1, 2, 3]);
    assert_eq!(r.u8(), Ok(1));
    assert_eq!(r.finish(), Err(WireError::Trailing(2)));
    assert_eq!(r.u16(), Ok(0x0302));
    assert_eq!(r.finish(), Ok(()));
    assert_eq!(r.u8(), Err(WireError::Underflow));
}

proptest! {
    #[test]
    fn values_come_back_as_they_were_written(
        a: u8, b: u16, c: u32, d: u64, e: u64, f in prop::collection::vec(any::<u8>(), 0..40), g in ".{0,20}",
    ) {
        let mut out = Vec::new();
        let mut w = Writer::new(&mut out);
        w.u8(a);
        w.u16(b);
        w.u32(c);
        w.u64(d);
        w.var_u64(e);
        w.bytes_var(&f);
        w.str(&g);
        let mut r = Reader::new(&out);
        prop_assert_eq!((r.u8(), r.u16(), r.u32(), r.u64(), r.var_u64()), (Ok(a), Ok(b), Ok(c), Ok(d), Ok(e)));
        prop_assert_eq!((r.bytes_var(40), r.str(80)), (Ok(&f[..]), Ok(&g[..])));
        prop_assert_eq!(r.finish(), Ok(()));
    }

    #[test]
    fn any_bytes_are_a_varint_in_its_only_form_or_none(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
        if let Ok(Some((value, used))) = decode_varint(&bytes) {
            prop_assert_eq!(varint(value), &bytes[..used]);
        }
    }

    #[test]
    fn a_refused_read_takes_nothing(bytes in prop::collection::vec(any::<u8>(), 0..7)) {
        let mut r = Reader::new(&bytes);
        prop_assert_eq!(r.u64(), Err(WireError::Underflow));
        prop_assert_eq!(r.remaining(), bytes.len());
    }
}
