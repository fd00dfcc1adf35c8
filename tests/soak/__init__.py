"""Reads for minutes or hours while faults are injected, and checks every byte: what `scripts/soak` runs.

It showed of version 0.1.0: `scripts/soak --only reading --minutes 6 --tls --switch-interval 1e-6 --seed 23`
(16 readers, `rsync` again and again, files that are replaced, `--timeout 10`, threads that take turns each
microsecond; two cores, libfuse 3): 3,430 faults in 32,175 requests (server errors 848, stalled bodies 473,
bodies of another length 464, bodies cut 352, headers that are missing 308, nonsense in place of HTTP 180,
pages of HTML 168, silence 167, slow headers 165, resets 151, whole files for a range 148, other bodies 6);
808,772 reads of 7.42 GB checked byte by byte, 76 errors (all ESTALE), 0 wrong bytes; the longest read took
9.9 s, and of 1,577 killed programs each ended at once. Memory went from 85 to 86 MiB, threads from 29 to
37, descriptors from 9 to 8. What a mount shows (`--only attributes --only calls --minutes 1.5 --seed 5`, on
libfuse 2 and on 3): 1,548 reloads after 3,144 random changes in 65 mounts, with 82,593 comparisons beside a
program that looked all the time, and 625,728 calls compared with ext4: 0 wrong.
"""
