// Generated from bindings/scenario.json by bindings/generate: change that, not this.

import java.nio.file.Files
import java.util.Base64
import kotlinx.coroutines.runBlocking
import nakivo.*
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** A listing to its end. */
private suspend fun <T> all(next: suspend () -> List<T>): List<T> {
    val found = mutableListOf<T>()
    while (true) {
        val page = next()
        if (page.isEmpty()) return found
        found.addAll(page)
    }
}

/** Content to its end. */
private suspend fun content(next: suspend () -> ByteArray?): ByteArray {
    var whole = ByteArray(0)
    while (true) whole += next() ?: return whole
}

private fun decoded(text: String): ByteArray = Base64.getDecoder().decode(text)

private fun base64(bytes: ByteArray): String = Base64.getEncoder().encodeToString(bytes)

/** What went wrong, whatever the class of the error. */
private fun failureOf(error: NakivoException): Failure = when (error) {
    is NakivoException.InvalidInput -> error.failure
    is NakivoException.NotFound -> error.failure
    is NakivoException.AlreadyExists -> error.failure
    is NakivoException.RepositoryMissing -> error.failure
    is NakivoException.WrongPassphrase -> error.failure
    is NakivoException.Busy -> error.failure
    is NakivoException.Unauthorized -> error.failure
    is NakivoException.PermissionMissing -> error.failure
    is NakivoException.Throttled -> error.failure
    is NakivoException.Unavailable -> error.failure
    is NakivoException.StorageFull -> error.failure
    is NakivoException.Conflict -> error.failure
    is NakivoException.Immutable -> error.failure
    is NakivoException.Corrupt -> error.failure
    is NakivoException.HistoryRewound -> error.failure
    is NakivoException.UnsupportedFormat -> error.failure
    is NakivoException.ScratchFailed -> error.failure
    is NakivoException.Protocol -> error.failure
    is NakivoException.Cancelled -> error.failure
    is NakivoException.Internal -> error.failure
}

/** Whether a call fails with an error of this class and code. */
private suspend inline fun <reified T : NakivoException> fails(code: String, call: () -> Any?) {
    val error = try {
        call()
        null
    } catch (error: NakivoException) {
        error
    }
    assertTrue(error is T, "an error of the code $code, not $error")
    assertEquals(code, failureOf(error!!).code)
}

class ScenarioTest {
    @Test
    fun theScenarioOfAllLanguages() {
        val dir = Files.createTempDirectory("nakivo").toString()
        runBlocking {
            // 0: Emulator.start
            val emulator = Emulator.start(EmulatorOptions(seed = 7uL, users = 2u, itemsPerUser = 40u))

            // 1: emulator.info
            val organisation = emulator.info()
            assertEquals(7uL, organisation.seed)

            // 2: emulator.source
            val source = emulator.source(listOf("mail"))

            // 3: source.objects
            val found = source.objects()
            assertEquals(0, found.leftOut.size)
            assertEquals(2, found.objects.size)

            // 4: source.object
            fails<NakivoException.NotFound>("not_found") { source.`object`("nobody@nowhere.example") }

            // 5: Repository.open
            fails<NakivoException.RepositoryMissing>("repository_missing") { Repository.open("file:$dir/vault", OpenOptions(passphrase = "correct horse")) }

            // 6: Repository.create
            fails<NakivoException.InvalidInput>("invalid_input") { Repository.create("file:$dir/vault", CreateOptions()) }

            // 7: Repository.create
            val repository = Repository.create("file:$dir/vault", CreateOptions(passphrase = "correct horse"))

            // 8: Repository.create
            fails<NakivoException.AlreadyExists>("already_exists") { Repository.create("file:$dir/vault", CreateOptions(passphrase = "correct horse")) }

            // 9: Repository.open
            fails<NakivoException.WrongPassphrase>("wrong_passphrase") { Repository.open("file:$dir/vault", OpenOptions(passphrase = "wrong")) }

            // 10: repository.info
            val step10 = repository.info()
            assertEquals(true, step10.encrypted)
            assertEquals(0uL, step10.points)

            // 11: source.backup
            val stopped = source.backup(repository, organisation.mailboxes[0], BackupOptions())

            // 12: cancel stopped
            fails<NakivoException.Cancelled>("cancelled") { stopped.next(); stopped.cancel(); stopped.outcome() }

            // 13: source.backup
            val first = source.backup(repository, organisation.mailboxes[0], BackupOptions())

            // 14: first.outcome
            val report = first.outcome()
            assertEquals("complete", report.outcome)
            assertEquals(true, report.first)
            assertEquals(0uL, report.failed)
            assertEquals(40uL, report.items)
            assertEquals(0, report.issues.size)

            // 15: emulator.messages
            val messages = emulator.messages(organisation.mailboxes[0])

            // 16: emulator.add_message
            val unicorn = emulator.addMessage(organisation.mailboxes[0], "inbox", decoded("RnJvbTogYUBiLmV4YW1wbGUNClN1YmplY3Q6IEEgdW5pY29ybg0KDQpIZWxsbw0K"))

            // 17: emulator.purge_message
            emulator.purgeMessage(organisation.mailboxes[0], messages[3].id)

            // 18: emulator.corrupt_message
            emulator.corruptMessage(organisation.mailboxes[0], unicorn, true)

            // 19: source.backup
            val second = source.backup(repository, organisation.mailboxes[0], BackupOptions())

            // 20: second.outcome
            val partly = second.outcome()
            assertEquals("partial", partly.outcome)
            assertEquals(false, partly.first)
            assertEquals(1uL, partly.failed)
            assertEquals(1uL, partly.removed)
            assertEquals(39uL, partly.items)
            assertEquals(1, partly.issues.size)

            // 21: emulator.corrupt_message
            emulator.corruptMessage(organisation.mailboxes[0], unicorn, false)

            // 22: source.backup
            val third = source.backup(repository, organisation.mailboxes[0], BackupOptions())

            // 23: third.outcome
            val healed = third.outcome()
            assertEquals("complete", healed.outcome)
            assertEquals(0uL, healed.failed)
            assertEquals(1uL, healed.added)
            assertEquals(40uL, healed.items)

            // 24: repository.points
            val points = repository.points(organisation.mailboxes[0])
            assertEquals("complete", points[0].outcome)
            assertEquals("partial", points[1].outcome)
            assertEquals("complete", points[2].outcome)
            assertEquals(3, points.size)

            // 25: repository.point
            val point = repository.point(organisation.mailboxes[0], "latest")

            // 26: repository.point
            fails<NakivoException.NotFound>("not_found") { repository.point(organisation.mailboxes[0], "ffffffffffffffff") }

            // 27: repository.point
            val older = repository.point(organisation.mailboxes[0], points[0].id)

            // 28: point.info
            val step28 = point.info()
            assertEquals(40uL, step28.items)
            assertEquals(0uL, step28.lost)

            // 29: point.changes_since
            val changes = point.changesSince(older)

            // 30: read changes
            val differences = all { changes.next(7u) }
            assertEquals(4, differences.size)

            // 31: point.list
            val page = point.list("", PageOptions(limit = 1u))
            assertEquals(1, page.entries.size)

            // 32: point.list
            fails<NakivoException.InvalidInput>("invalid_input") { point.list("", PageOptions(limit = 0u)) }

            // 33: point.find
            val hits = point.find("subject:unicorn")

            // 34: read hits
            val unicorns = all { hits.next(7u) }
            assertEquals("A unicorn", unicorns[0].name)
            assertEquals("message", unicorns[0].kind)
            assertEquals(1, unicorns.size)

            // 35: point.content
            val content = point.content(unicorns[0].id, null)

            // 36: read content
            val mime = content { content.next() }
            assertEquals("RnJvbTogYUBiLmV4YW1wbGUNClN1YmplY3Q6IEEgdW5pY29ybg0KDQpIZWxsbw0K", base64(mime))

            // 37: point.export
            val exporting = point.export(ExportTo(zip = "$dir/unicorns.zip"), Selected(query = "subject:unicorn"))

            // 38: exporting.outcome
            val step38 = exporting.outcome()
            assertEquals("complete", step38.outcome)
            assertEquals(1uL, step38.items)
            assertEquals(0, step38.failed.size)

            // 39: point.export
            val again = point.export(ExportTo(zip = "$dir/unicorns.zip"), Selected())

            // 40: again.outcome
            fails<NakivoException.AlreadyExists>("already_exists") { again.outcome() }

            // 41: point.export
            fails<NakivoException.InvalidInput>("invalid_input") { point.export(ExportTo(), Selected()) }

            // 42: point.plan
            val planning = point.plan(source, RecoverTo(`object` = organisation.mailboxes[1]), Selected(query = "subject:unicorn"))

            // 43: planning.outcome
            val plan = planning.outcome()

            // 44: plan.counts
            val step44 = plan.counts()
            assertEquals(1uL, step44.create)
            assertEquals(0uL, step44.cannot)

            // 45: plan.apply
            val recovering = plan.apply()

            // 46: recovering.outcome
            val step46 = recovering.outcome()
            assertEquals("complete", step46.outcome)
            assertEquals(1uL, step46.recovered)
            assertEquals(0uL, step46.failed)

            // 47: emulator.messages
            val there = emulator.messages(organisation.mailboxes[1])
            assertEquals(41, there.size)

            // 48: repository.protect
            repository.protect(points[0].id, Protection(forever = true))

            // 49: repository.plan_retention
            val step49 = repository.planRetention(organisation.mailboxes[0], Keep(last = 1u))
            assertEquals(false, step49.points[0].goes)
            assertEquals(true, step49.points[1].goes)
            assertEquals(false, step49.points[2].goes)

            // 50: repository.plan_retention
            fails<NakivoException.InvalidInput>("invalid_input") { repository.planRetention(organisation.mailboxes[0], Keep(last = 0u)) }

            // 51: repository.delete_points
            val step51 = repository.deletePoints(PointFilter(points = listOf(points[1].id), preview = true))
            assertEquals(points[1].id, step51.deleted[0])
            assertNull(step51.commit)

            // 52: repository.apply_retention
            val step52 = repository.applyRetention(organisation.mailboxes[0], Keep(last = 1u))
            assertEquals(3, step52.points.size)

            // 53: repository.reclaim
            val reclaiming = repository.reclaim(ReclaimOptions(graceSeconds = 0.0))

            // 54: reclaiming.outcome
            val step54 = reclaiming.outcome()
            assertEquals(false, step54.preview)

            // 55: repository.verify
            val verifying = repository.verify(VerifyOptions())

            // 56: verifying.outcome
            val step56 = verifying.outcome()
            assertEquals(true, step56.complete)
            assertEquals(0, step56.damage.size)
            assertEquals(2uL, step56.points)

            // 57: repository.verify
            val tooMuch = repository.verify(VerifyOptions(samplePercent = 101.toUByte()))

            // 58: too_much.outcome
            fails<NakivoException.InvalidInput>("invalid_input") { tooMuch.outcome() }

            // 59: repository.add_recovery_key
            val printed = repository.addRecoveryKey("safe")
            assertEquals("key", printed.slot.kind)
            assertEquals("safe", printed.slot.label)

            // 60: Repository.open
            val byKey = Repository.open("file:$dir/vault", OpenOptions(key = printed.key))

            // 61: by_key.keys
            val step61 = byKey.keys()
            assertEquals(2, step61.slots.size)

            // 62: Repository.create
            val copy = Repository.create("file:$dir/copy", CreateOptions(unencrypted = true, compression = Compression.BEST))

            // 63: by_key.copy_to
            val copying = byKey.copyTo(copy, CopyOptions())

            // 64: copying.outcome
            val step64 = copying.outcome()
            assertEquals("complete", step64.outcome)
            assertEquals("copied", step64.points[0].state)
            assertEquals("copied", step64.points[1].state)

            // 65: Source.folder
            val folder = Source.folder("$dir/vault", "vault")

            // 66: Director.open
            val director = Director.open("$dir/state", DirectorOptions())

            // 67: director.add_repository
            val step67 = director.addRepository("copies", "file:$dir/copy", RepositoryAccess())
            assertEquals(true, step67.attached)

            // 68: director.add_job
            val job = director.addJob("Nightly", JobOptions(repository = "copies", sources = listOf(JobSource(folder = "$dir/vault", objects = listOf("vault"))), schedules = listOf(Schedule(kind = "daily", start = "01:00", zone = "Europe/Berlin")), retention = Keep(last = 5u)))
            assertEquals("Nightly", job.name)
            assertEquals(false, job.running)
            assertNull(job.lastOutcome)

            // 69: director.add_job
            fails<NakivoException.AlreadyExists>("already_exists") { director.addJob("Nightly", JobOptions(repository = "copies", sources = listOf(JobSource(folder = "$dir/vault", objects = listOf("vault"))))) }

            // 70: director.remove_repository
            fails<NakivoException.Conflict>("conflict") { director.removeRepository("copies") }

            // 71: director.next_times
            val step71 = director.nextTimes("Nightly", 3u)
            assertEquals(3, step71.size)

            // 72: director.run
            val running = director.run("Nightly", RunSelection())

            // 73: running.outcome
            val step73 = running.outcome()
            assertEquals("complete", step73.outcome)
            assertEquals("vault", step73.objects[0].name)
            assertEquals("asked", step73.cause)

            // 74: director.history
            val step74 = director.history("Nightly", 10u)
            assertEquals("complete", step74[0].run!!.outcome)
            assertEquals(1, step74.size)

            // 75: director.job
            val step75 = director.job(job.id)
            assertEquals("complete", step75.lastOutcome)

            // 76: director.remove_job
            director.removeJob("Nightly")

            // 77: director.jobs
            val step77 = director.jobs()
            assertEquals(0, step77.size)

            // 78: emulator.stop
            emulator.stop()

            // 79: emulator.info
            fails<NakivoException.InvalidInput>("invalid_input") { emulator.info() }

        }
    }
}
