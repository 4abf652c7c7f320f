# Whole runs under valgrind: no bad access, nothing lost.
weir=${WEIR:-build/weir}
for job in jobs/word_count.lua jobs/top_words.lua jobs/sensor_alerts.lua; do
	if valgrind -q --leak-check=full --error-exitcode=9 "$weir" run -q "$job" 2>&1 >"$TMPDIR/out" | sed 's/^/# /' >"$TMPDIR/err" &&
		[ ! -s "$TMPDIR/err" ] && [ -s "$TMPDIR/out" ]; then
		echo "ok - $job is clean under valgrind"
	else
		echo "not ok - $job is clean under valgrind"
		cat "$TMPDIR/err"
	fi
done
