use futures::FutureExt;
use http_body_util::BodyExt;
use p2pshare_proto::v1;
use p2pshare_proto::v1::fetch_response::Event;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::encoding::encode_varint;

use super::*;
use crate::net::grpc::{Encoded, OutgoingBody};
use crate::net::io::Traffic;

const MAX: usize = 4 << 10;

type Response = v1::FetchResponse;

fn segment(offset: u64, data: &[u8]) -> Response {
    let data = Bytes::copy_from_slice(data);
    Response { event: Some(Event::Segment(v1::Segment { offset, data })) }
}

/// The message behind its head.
fn framed(message: &[u8]) -> Vec<u8> {
    let len = u32::try_from(message.len()).unwrap();
    [&[0][..], &len.to_be_bytes(), message].concat()
}

/// What the parser makes of the bytes, which come in slices of these lengths, again and again.
fn parse(bytes: &[u8], cuts: &[usize]) -> Result<Vec<Part<Response>>, Status> {
    let mut parser = Parser::new(Some(SegmentField::FETCH), MAX);
    let mut parts = Vec::new();
    let mut cuts = cuts.iter().cycle();
    let mut rest = Bytes::copy_from_slice(bytes);
    while !rest.is_empty() {
        let len = cuts.next().map_or(rest.len(), |cut| (*cut).min(rest.len()));
        parser.push(rest.split_to(len));
        while let Some(part) = parser.next()? {
            parts.push(part);
        }
    }
    parser.finish()?;
    Ok(parts)
}

/// The same parts with slices put together and segments that were collected like those that were not, so that they can
/// be compared with what the library makes of the messages. Segments must not be neighbours then.
fn joined(parts: Vec<Part<Response>>) -> Vec<Response> {
    let mut joined: Vec<Response> = Vec::new();
    for part in parts {
        let slice = match part {
            Part::Message(message) => {
                joined.push(message);
                continue;
            }
            Part::Slice(slice) => slice,
        };
        if let Some(Response { event: Some(Event::Segment(last)) }) = joined.last_mut()
            && last.offset + last.data.len() as u64 == slice.offset
        {
            last.data = [&last.data[..], &slice.data[..]].concat().into();
            continue;
        }
        joined.push(segment(slice.offset, &slice.data));
    }
    joined
}

/// A number, in the shortest way or not.
fn number(value: u64, padding: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_varint(value, &mut bytes);
    for _ in 0..padding.min(10 - bytes.len()) {
        *bytes.last_mut().unwrap() |= 0x80;
        bytes.push(0);
    }
    bytes
}

/// A field of a segment, as anybody may write it.
fn field() -> impl Strategy<Value = Vec<u8>> {
    let padding = 0..3_usize;
    prop_oneof![
        (any::<u64>(), padding.clone()).prop_map(|(offset, padding)| [
            vec![OFFSET_TAG],
            number(offset >> 8, padding)
        ]
        .concat()),
        (vec(any::<u8>(), 0..200), padding.clone()).prop_map(|(data, padding)| {
            [vec![DATA_TAG], number(data.len() as u64, padding), data].concat()
        }),
        // One that is not known.
        (any::<u64>(), padding)
            .prop_map(|(value, padding)| { [vec![9 << 3], number(value, padding)].concat() }),
    ]
}

/// A message as anybody may write it: right, in an unusual order, with fields twice, unknown or none.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let usual = (any::<u64>(), vec(any::<u8>(), 0..300))
        .prop_map(|(offset, data)| segment(offset >> 8, &data).encode_to_vec());
    let queued = any::<u32>().prop_map(|position| {
        let event = Some(Event::Queued(v1::Queued { position }));
        Response { event }.encode_to_vec()
    });
    let unusual = (vec(field(), 0..4), 0..3_usize, vec(field(), 0..2)).prop_map(
        |(fields, padding, after)| {
            let inner = fields.concat();
            let after = match after.is_empty() {
                true => Vec::new(),
                // A field of the message itself that is not known.
                false => [vec![7 << 3], number(5, 0)].concat(),
            };
            [vec![SegmentField::FETCH.tag()], number(inner.len() as u64, padding), inner, after]
                .concat()
        },
    );
    prop_oneof![4 => usual, 1 => queued, 4 => unusual]
}

proptest! {
    #[test]
    fn any_stream_cut_anywhere_gives_what_the_library_gives(
        messages in vec(message(), 0..6),
        cuts in vec(1..60_usize, 0..12),
    ) {
        let bytes: Vec<u8> = messages.iter().flat_map(|message| framed(message)).collect();
        let parts = parse(&bytes, &cuts).unwrap();
        let found = parts.iter().filter(|part| !matches!(part, Part::Slice(slice) if slice.data.is_empty())).count();
        prop_assert_eq!(found, parts.len(), "an empty slice");
        // One message after the other: neighbours are not to be told apart once they are joined.
        for message in &messages {
            let expected = Response::decode(&message[..]).unwrap();
            let found = joined(parse(&framed(message), &cuts).unwrap());
            prop_assert_eq!(found, vec![expected]);
        }
        let bytes_in = |messages: &[Response]| -> Vec<u8> {
            let data = |message: &Response| match &message.event {
                Some(Event::Segment(segment)) => segment.data.to_vec(),
                _ => Vec::new(),
            };
            messages.iter().flat_map(data).collect()
        };
        let expected: Vec<_> =
            messages.iter().map(|message| Response::decode(&message[..]).unwrap()).collect();
        prop_assert_eq!(bytes_in(&joined(parts)), bytes_in(&expected));
    }

    #[test]
    fn noise_never_panics_and_never_takes_more_than_came(
        mut bytes in vec(any::<u8>(), 0..400),
        begins_well in any::<bool>(),
        cuts in vec(1..60_usize, 1..12),
    ) {
        if begins_well && bytes.len() > 6 {
            bytes[..4].fill(0);
            bytes[5] = SegmentField::FETCH.tag();
        }
        if let Ok(parts) = parse(&bytes, &cuts) {
            let len = |part: &Part<Response>| match part {
                Part::Slice(slice) => slice.data.len(),
                Part::Message(message) => message.encoded_len(),
            };
            // An unpacked number may be longer than it was: by how much is bounded.
            prop_assert!(parts.iter().map(len).sum::<usize>() <= bytes.len());
        }
    }

    #[test]
    fn a_segment_goes_out_as_the_library_would_write_it(offset: u64, data in vec(any::<u8>(), 0..300)) {
        let plain = segment(offset, &data).encode_to_vec();
        let data = Bytes::from(data);
        let encoded = Encoded::segment(SegmentField::FETCH, Segment { offset, data });
        let body = OutgoingBody::of_answer(futures::stream::iter([Ok(encoded)]), Traffic::default());
        let collected = body.collect().now_or_never().unwrap().unwrap();
        prop_assert_eq!(collected.trailers().unwrap()["grpc-status"].as_bytes(), b"0");
        prop_assert_eq!(collected.to_bytes(), framed(&plain));
    }
}

#[test]
fn what_is_too_long_or_compressed_is_refused_before_any_of_it_is_kept() {
    let too_long = u32::try_from(MAX).unwrap() + 1;
    let head = [&[0][..], &too_long.to_be_bytes()].concat();
    assert_eq!(parse(&head, &[1]).unwrap_err().code(), tonic::Code::OutOfRange);
    assert_eq!(parse(&[0, 255, 255, 255, 255], &[]).unwrap_err().code(), tonic::Code::OutOfRange);
    assert_eq!(parse(&[1, 0, 0, 0, 1, 0], &[]).unwrap_err().code(), tonic::Code::Internal);
    assert_eq!(parse(&[7, 0, 0, 0, 1, 0], &[]).unwrap_err().code(), tonic::Code::Internal);
}

#[test]
fn lengths_inside_of_a_message_that_lie_are_refused() {
    // The segment, or its bytes, are said to go beyond the message.
    for inner in [[18, 200, 1, 8, 1], [18, 3, 18, 100, 1], [18, 255, 255, 255, 127]] {
        let error = parse(&framed(&inner), &[2]).unwrap_err();
        assert_eq!(error.code(), tonic::Code::Internal);
    }
}

#[test]
fn a_stream_that_ends_inside_of_a_message_is_refused() {
    let whole = framed(&segment(5, &[1; 100]).encode_to_vec());
    for len in 1..whole.len() {
        assert!(parse(&whole[..len], &[]).is_err(), "{len}");
    }
    assert_eq!(parse(&whole, &[]).unwrap().len(), 1);
}

#[test]
fn a_segment_that_is_there_is_not_copied() {
    let bytes = Bytes::from(framed(&segment(5, &[1; 100]).encode_to_vec()));
    let mut parser = Parser::<Response>::new(Some(SegmentField::FETCH), MAX);
    parser.push(bytes.clone());
    let Some(Part::Slice(slice)) = parser.next().unwrap() else {
        panic!("a segment is given as slices");
    };
    assert_eq!(slice.data.as_ptr_range().end, bytes.as_ptr_range().end);
}
