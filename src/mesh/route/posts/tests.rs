//! Own messages on their way.

use super::*;

const TO: PeerId = PeerId([2; 32]);
const ME: (PeerId, u64) = (PeerId([1; 32]), 7);
const HOP: PeerId = PeerId([3; 32]);

fn posts() -> Posts {
    let mut posts = Posts::default();
    posts.add(Time::ZERO, 1, TO, Bytes::from_static(b"hello"), Duration::from_secs(30));
    posts
}

/// What a seal for that run is answered with.
fn answers(made: u64) -> Answers {
    Answers::new([made as u8; 32], [made as u8; 32])
}

/// What a recipient of that run says of what was sealed for another.
fn says(run: u64, made: u64) -> Verdict {
    Verdict::Run(answers(made).run(run))
}

fn send(posts: &mut Posts, now: Time) -> ParcelId {
    copy_of(posts, 1, now).id
}

/// Seals what is asked for and gives the copy.
fn copy_of(posts: &mut Posts, number: u64, now: Time) -> Parcel {
    loop {
        match posts.ready(now, number, ME, HOP) {
            Need::Seal { run, .. } => assert_eq!(posts.sealed(number, run, Some((Bytes::new(), answers(run)))), Ok(true)),
            Need::Send(parcel) => return parcel,
            Need::Nothing => panic!("nothing to send"),
        }
    }
}

#[test]
fn a_receipt_ends_a_message_and_a_false_one_does_not() {
    let mut posts = posts();
    let id = send(&mut posts, Time::ZERO);
    assert_eq!(posts.heard(Time::ZERO, &id, Some(TO), Verdict::Received([9; 32])), Heard::Nothing);
    assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), Verdict::Received([9; 32])), Heard::Astray(TO));
    assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), Verdict::Received(answers(0).run(1).opened)), Heard::Nothing, "it was opened");
    assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), Verdict::Received([0; 32])), Heard::Delivered(TO));
    assert_eq!((posts.deadline(), posts.bytes), (None, 0));
}

#[test]
fn a_message_is_sealed_anew_for_the_run_its_recipient_names() {
    let mut posts = posts();
    let id = send(&mut posts, Time::ZERO);
    assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), says(5, 0)), Heard::Renew(TO));
    let id = send(&mut posts, Time::ZERO);
    assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), says(5, 5)), Heard::Nothing, "an old answer");
    assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), says(6, 5)), Heard::Renew(TO), "the only copy was refused");
    let first = send(&mut posts, Time::ZERO);
    let second = send(&mut posts, Time::ZERO);
    assert_eq!(posts.heard(Time::ZERO, &second, Some(HOP), says(8, 6)), Heard::Astray(TO), "the first may have been taken");
    assert_eq!(posts.posts[&1].why, Undelivered::Restarted);
    assert_eq!(posts.heard(Time::ZERO, &first, Some(HOP), says(8, 6)), Heard::Renew(TO), "neither was");
    assert_eq!(send(&mut posts, Time::ZERO).attempt, 4);
}

#[test]
fn a_run_without_its_proof_leaves_the_seal_as_it_is_and_moves_the_next_copy() {
    let mut posts = posts();
    let id = send(&mut posts, Time::ZERO);
    let (true_run, others) = (answers(0).run(5), answers(9).run(5));
    for lie in [ProvenRun { run: 7, ..true_run }, ProvenRun { proof: others.proof, ..true_run }, others] {
        let _ = posts.heard(Time::ZERO, &id, Some(HOP), Verdict::Run(lie));
        let Seal::Made { run: 0, open, .. } = &posts.posts[&1].seal else { panic!("sealed anew") };
        assert_eq!((open.len(), posts.stranded(None).len(), posts.posts[&1].hints, posts.runs.len()), (1, 1, 1, 0));
    }
    assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), Verdict::Run(true_run)), Heard::Renew(TO), "the truth still counts");
}

#[test]
fn a_copy_that_came_back_is_not_taken_for_one_that_may_have_arrived() {
    let mut posts = posts();
    let id = send(&mut posts, Time::ZERO);
    assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), says(5, 0)), Heard::Renew(TO));
    let id = send(&mut posts, Time::ZERO);
    assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), Verdict::NoRoute), Heard::Astray(TO));
    let id = send(&mut posts, Time::ZERO);
    assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), says(6, 5)), Heard::Renew(TO));
}

#[test]
fn a_recipient_that_names_run_after_run_is_not_followed_for_ever() {
    let mut posts = posts();
    let renewed = (1..100).take_while(|run| {
        let id = send(&mut posts, Time::ZERO);
        posts.heard(Time::ZERO, &id, Some(HOP), says(*run, run - 1)) == Heard::Renew(TO)
    });
    assert_eq!(renewed.count(), usize::from(limits::RESEALS_MAX));
}

#[test]
fn who_swallows_what_another_brought_the_run_for_does_not_hold_the_message_up() {
    let mut posts = posts();
    let liar = PeerId([9; 32]);
    let mut give = |hop| loop {
        match posts.ready(Time::ZERO, 1, ME, hop) {
            Need::Seal { run, .. } => assert_eq!(posts.sealed(1, run, Some((Bytes::new(), answers(run)))), Ok(true)),
            Need::Send(parcel) => {
                let heard = match (hop == liar, parcel.to_run) {
                    (true, made) => Verdict::Run(ProvenRun { run: 7, ..answers(made).run(5) }),
                    (false, 5) => Verdict::Received([5; 32]),
                    (false, made) => says(5, made),
                };
                return (parcel.to_run, posts.heard(Time::ZERO, &parcel.id, Some(hop), heard));
            }
            Need::Nothing => panic!("nothing to send"),
        }
    };
    assert_eq!([give(liar), give(HOP)], [(0, Heard::Astray(TO)), (0, Heard::Renew(TO))]);
    assert_eq!([give(liar), give(HOP)], [(5, Heard::Astray(TO)), (5, Heard::Delivered(TO))]);
}

#[test]
fn what_may_have_been_taken_is_not_sealed_for_the_run_that_another_message_made_known() {
    let mut posts = posts();
    posts.add(Time::ZERO, 2, TO, Bytes::new(), Duration::from_secs(30));
    // Sealed before the run is known.
    let other = copy_of(&mut posts, 2, Time::ZERO).id;
    let id = send(&mut posts, Time::ZERO);
    assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), says(5, 0)), Heard::Renew(TO));
    send(&mut posts, Time::ZERO);
    // The recipient took that, its receipt is lost, and it has restarted.
    assert_eq!(posts.heard(Time::ZERO, &other, Some(HOP), says(6, 0)), Heard::Renew(TO));
    let other = copy_of(&mut posts, 2, Time::ZERO);
    assert_eq!(other.to_run, 6);
    assert_eq!(posts.heard(Time::ZERO, &other.id, Some(HOP), Verdict::Received([6; 32])), Heard::Delivered(TO));
    for _ in 0..3 {
        let again = copy_of(&mut posts, 1, Time::ZERO);
        assert_eq!(again.to_run, 5, "one of run 5 is unaccounted for");
        assert_eq!(posts.heard(Time::ZERO, &again.id, Some(HOP), says(6, 5)), Heard::Astray(TO));
    }
    assert_eq!(posts.expire(Time::from_millis(30_000), 1), Some((TO, Undelivered::Restarted)));
}

#[test]
fn a_run_that_was_proven_counts_for_every_message_and_a_minute() {
    let mut posts = posts();
    (2..5).for_each(|number| posts.add(Time::ZERO, number, TO, Bytes::new(), Duration::from_secs(30)));
    let (id, other) = (send(&mut posts, Time::ZERO), copy_of(&mut posts, 2, Time::ZERO));
    assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), says(5, 0)), Heard::Renew(TO));
    assert_eq!([1, 3].map(|number| copy_of(&mut posts, number, Time::ZERO).to_run), [5, 5]);
    assert_eq!(copy_of(&mut posts, 2, Time::ZERO).to_run, 5, "what was sealed for no run is sealed anew");
    let later = Time::ZERO + limits::ROUTE_RUN_FRESH;
    assert_eq!(posts.ready(later, 4, ME, HOP), Need::Seal { to: TO, run: 0, payload: Bytes::new() }, "it may have ended since");
    assert_eq!(posts.heard(Time::ZERO, &other.id, Some(HOP), says(6, 0)), Heard::Nothing, "of a seal before");
}

#[test]
fn a_forgotten_run_does_not_make_it_be_sealed_anew() {
    let mut posts = posts();
    let id = send(&mut posts, Time::ZERO);
    assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), says(5, 0)), Heard::Renew(TO));
    let id = send(&mut posts, Time::ZERO);
    posts.runs.clear();
    assert_eq!(copy_of(&mut posts, 1, Time::ZERO).to_run, 5);
    let _ = posts.heard(Time::ZERO, &id, Some(HOP), Verdict::NoRoute);
    let again = copy_of(&mut posts, 1, Time::ZERO);
    assert_eq!(again.to_run, 5);
    assert_eq!(posts.heard(Time::ZERO, &again.id, Some(HOP), Verdict::Received([5; 32])), Heard::Delivered(TO));
}

#[test]
fn only_whom_a_copy_was_given_to_is_heard_about_it_but_what_is_proven_from_anybody() {
    let mut posts = posts();
    let id = send(&mut posts, Time::ZERO);
    let liar = Some(PeerId([9; 32]));
    for verdict in [Verdict::NoRoute, Verdict::Busy, Verdict::Refused, Verdict::Loop, Verdict::TtlExceeded] {
        assert_eq!(posts.heard(Time::ZERO, &id, liar, verdict), Heard::Nothing);
    }
    assert!(posts.overdue(1) == Some(HOP) && posts.runs.is_empty());
    assert_eq!(posts.posts[&1].why, Undelivered::Unanswered);
    assert_eq!(posts.heard(Time::ZERO, &id, liar, says(5, 0)), Heard::Renewed);
    let id = send(&mut posts, Time::ZERO);
    assert_eq!(posts.heard(Time::ZERO, &id, liar, says(6, 5)), Heard::Nothing, "said of another copy, perhaps: this one may be taken");
    assert_eq!(send(&mut posts, Time::ZERO).attempt, 2);
    assert_eq!(posts.heard(Time::ZERO, &id, liar, Verdict::Received([5; 32])), Heard::Delivered(TO));
}

#[test]
fn what_a_junk_copy_under_its_name_came_back_with_does_not_hide_the_proven_run() {
    let mut posts = posts();
    let id = send(&mut posts, Time::ZERO);
    assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), Verdict::TtlExceeded), Heard::Astray(TO));
    assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), says(5, 0)), Heard::Renew(TO));
    assert_eq!(copy_of(&mut posts, 1, Time::ZERO).to_run, 5);
}

#[test]
fn a_run_that_was_kept_back_does_not_take_the_place_of_one_that_was_proven_since() {
    let mut posts = posts();
    posts.add(Time::ZERO, 2, TO, Bytes::new(), Duration::from_secs(30));
    posts.add(Time::ZERO, 3, TO, Bytes::new(), Duration::from_secs(30));
    let [old, new] = [1, 2].map(|number| copy_of(&mut posts, number, Time::ZERO).id);
    let later = Time::from_millis(3);
    assert_eq!(posts.heard(later, &new, Some(HOP), says(6, 0)), Heard::Renew(TO));
    assert_eq!(posts.heard(later, &old, Some(HOP), says(5, 0)), Heard::Renew(TO));
    assert_eq!([1, 2, 3].map(|number| copy_of(&mut posts, number, later).to_run), [6, 6, 6]);
}

#[test]
fn a_message_whose_recipient_names_run_after_run_goes_on_after_pauses_that_grow() {
    let mut posts = posts();
    let (mut last, mut run, mut now) = (send(&mut posts, Time::ZERO), 0, Time::ZERO);
    while posts.heard(now, &last, Some(HOP), says(run + 1, run)) == Heard::Renew(TO) {
        (last, run) = (send(&mut posts, now), run + 1);
    }
    let mut pauses = Vec::new();
    for _ in 0..7 {
        let due = posts.deadline().expect("it goes on");
        pauses.push(due.since(now).as_millis());
        now = due;
        let copy = copy_of(&mut posts, 1, now);
        (last, run) = (copy.id, run + 1);
        assert_eq!(copy.to_run, run);
        assert_eq!(posts.heard(now, &last, Some(HOP), says(run + 1, run)), Heard::Astray(TO));
    }
    assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 8_000, 6_500], "and no longer than it lives");
}

#[test]
fn a_copy_that_is_refused_does_not_hide_that_another_may_have_arrived() {
    let mut posts = posts();
    send(&mut posts, Time::ZERO);
    let id = send(&mut posts, Time::ZERO);
    assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), Verdict::Refused), Heard::Slow(TO));
    assert_eq!(posts.expire(Time::from_millis(30_000), 1), Some((TO, Undelivered::Unanswered)));
    assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), Verdict::Received([0; 32])), Heard::Nothing, "over");
}

#[test]
fn a_message_is_tried_after_growing_pauses_until_its_life_is_over() {
    let mut posts = posts();
    let mut times = Vec::new();
    while let Some(due) = posts.deadline() {
        if let Some((to, why)) = posts.expire(due, 1) {
            assert_eq!((to, why, due), (TO, Undelivered::NoRoute, Time::from_millis(30_000)));
            break;
        }
        times.push(due.0 / 1_000_000);
        posts.strand(due, 1);
    }
    assert_eq!(times, [0, 1, 3, 7, 15, 23]);
}

#[test]
fn a_hint_makes_it_search_and_says_why_in_the_end() {
    let mut posts = posts();
    let id = send(&mut posts, Time::ZERO);
    assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), Verdict::NoRoute), Heard::Astray(TO));
    assert_eq!(posts.stranded(Some(&TO)), [1]);
    assert_eq!(posts.expire(Time::from_millis(30_000), 1), Some((TO, Undelivered::NoRoute)));
}

#[test]
fn a_hint_about_one_copy_does_not_hide_that_another_may_have_arrived() {
    let mut posts = posts();
    send(&mut posts, Time::ZERO);
    let id = send(&mut posts, Time::ZERO);
    assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), Verdict::NoRoute), Heard::Astray(TO));
    assert_eq!(posts.expire(Time::from_millis(30_000), 1), Some((TO, Undelivered::Unanswered)));
}

#[test]
fn no_more_messages_wait_than_there_is_room_for() {
    let mut posts = Posts::default();
    let payload = Bytes::from(vec![0; limits::ROUTED_MAX_BYTES]);
    let mut count = 0;
    while posts.has_room(payload.len()) {
        posts.add(Time::ZERO, count, TO, payload.clone(), limits::ROUTE_LIFE);
        count += 1;
    }
    assert_eq!(count as usize, limits::POSTS_MAX_BYTES / limits::ROUTED_MAX_BYTES);
}
