"""What tests, the soak and the benchmark are made with; nothing here tests anything.

mounts     harness (a sandbox project, a mount of it, waiting with a deadline), started (a command beside a
           test), lives (readers, terminals), mute (a file system that stops answering)
servers    nginx, nginx_project, signing_api, served (a sandbox in a process of its own), wire (sends whatever
           it is told), ports (that no other test is given)
between    cable (can be cut), tinyproxy, small_proxies
unit       hostile (what a broken API answers), listed (resources), simulated_link, fuse_answers
"""
